"""Rate limits in HAProxy's words.

    plan.py       which limits each route is under, and the slot that each takes in a request
    keys.py       who is counted
    windows.py    fixed-window and sliding-counter in stick tables
    buckets.py    token-bucket and leaky-bucket in stick tables
    stage.py      the rules: look at all limits, then count in all of them, or refuse
    store.py      the same for limits that Valkey counts (limits.lua asks it, count.lua is the script it runs)
    answers.py    what the client is told
    usage.py      who is near a limit

A request's variables, N being a slot:
    txn.limits        the group of its route (plan.py); unset where the route has no limits of its own
    txn.free_N        requests that may still pass; set for each limit that was looked at
    txn.used_N        the table's counter before this request; set where a stick table counts
    txn.reset_N       ms until all of the limit is free again
    txn.retry_N       ms until this request would pass; set where it does not
    txn.policy_N      NAME;q=QUOTA;w=WINDOW
    txn.limit_refused N + 1 of the first limit that refuses
    txn.limit_until   µs since EPOCH at which it leaves a leaky bucket
"""
