"""The twin of HAProxy's `slowstart`: the weight of a server that came back grows with time.

Held equal: the formula of its `server_recalc_eweight` (whole seconds, the slow start's rounded up; sixteenths
of the weight, never none of it), so the effective weight at any second. Not held equal: HAProxy looks only
twenty times during a slow start.
"""

from __future__ import annotations

from math import ceil

#: HAProxy's BE_WEIGHT_SCALE: the parts into which a weight is divided
_PARTS = 16


def ramped(weight: int, up_for: float, slow_start: float) -> float:
    """The effective weight of a server `up_for` seconds after it came up; both times in seconds."""
    whole, elapsed = ceil(slow_start), int(up_for)
    if whole <= 0 or elapsed >= whole:
        return float(weight)
    return weight * ((_PARTS * elapsed + whole) // whole) / _PARTS
