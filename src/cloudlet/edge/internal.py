"""Which of HAProxy's backends are nobody's: the doors, tables and counters of the edge itself."""

from __future__ import annotations

_PREFIX = "cloudlet-"
#: cloudlet's own services have such names too, and are balanced like any other
_SERVICES = frozenset({"cloudlet-gateway", "cloudlet-egress"})


def is_internal(backend: str) -> bool:
    return backend.startswith(_PREFIX) and backend not in _SERVICES
