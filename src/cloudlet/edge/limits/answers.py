"""What clients are told, with every answer: the fields of draft-ietf-httpapi-ratelimit-headers (structured fields, one
member for each limit), and the older X-RateLimit ones for the limit of which least is left.

`t` and X-RateLimit-Reset are seconds until the whole quota is there again, Retry-After until one request passes. What a
service says under these names is dropped where the edge limits: it would be taken for the edge's.
"""

from __future__ import annotations

from collections.abc import Iterable

from cloudlet.edge.limits.plan import Plan

_SECONDS = "add(999),div(1000)"


def answers(made: Plan) -> list[str]:
    least, reset, policy = shown(made)
    found = f"if {{ var({least}) -m found }}"
    limit = f"%[var({policy}),field(2,;),field(2,=)]"
    constant = made.policy(made.numbers[0]) if len(made.numbers) == 1 else None
    if constant is not None:
        limit = constant.split(";")[1].removeprefix("q=")
    return [
        "# what is left of the limits",
        f"http-response del-header ratelimit -m sub {found}",
        *(line for n in made.numbers for line in _structured(made, n)),
        f"http-after-response add-header x-ratelimit-limit {limit} {found}",
        f"http-after-response add-header x-ratelimit-remaining %[var({least})] {found}",
        f"http-after-response add-header x-ratelimit-reset %[var({reset}),{_SECONDS}] {found}",
        f"http-after-response set-header retry-after %[var(txn.limit_retry),{_SECONDS}]"
        " if { var(txn.limit_retry) -m found }",
    ]


def shown(made: Plan) -> tuple[str, str, str]:
    """Where free, reset and policy of the limit are of which least is left."""
    if len(made.numbers) > 1:
        return "txn.limit_least", "txn.limit_reset", "txn.limit_policy"
    only = made.numbers[0]
    return f"txn.free_{only}", f"txn.reset_{only}", f"txn.policy_{only}"


def _structured(made: Plan, n: int) -> Iterable[str]:
    name, quota = f"%[var(txn.policy_{n}),field(1,;)]", f"%[var(txn.policy_{n}),field(2,;,2)]"
    constant = made.policy(n)
    if constant is not None:
        name, _, quota = constant.partition(";")
    found = f"if {{ var(txn.free_{n}) -m found }}"
    yield f"http-after-response add-header ratelimit-policy '\"{name}\";{quota}' {found}"
    left = f"r=%[var(txn.free_{n})];t=%[var(txn.reset_{n}),{_SECONDS}]"
    yield f"http-after-response add-header ratelimit '\"{name}\";{left}' {found}"
