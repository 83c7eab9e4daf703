"""Who uses which of HAProxy's sticky counters (sc0, sc1, …): a request tracks one entry by each."""

from __future__ import annotations

#: requests, errors and concurrency of the route; gateway
ROUTE = 0
#: the circuit breaker; backends
BREAKER = 1
#: requests held; door
HOLD = 2
#: requests of each service of a route over several; gateway
VARIANT = 2
#: rate limits, one each for as many as a route stacks; gateway
FIRST_LIMIT = 3
