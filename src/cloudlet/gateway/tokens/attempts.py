"""How often somebody may guess: a token bucket of failures for each client. Pure; the time is a parameter.

API keys hold 32 random bytes, so nobody guesses one; this keeps the attempt from costing anything, and from filling the
audit log.
"""

from __future__ import annotations

from collections import OrderedDict

#: failures that a client has at once, and how many come back in a second
BURST, PER_SECOND = 10.0, 0.2
#: clients remembered; the one not seen for longest is forgotten
MOST = 10_000


class Attempts:
    def __init__(self, burst: float = BURST, per_second: float = PER_SECOND, most: int = MOST) -> None:
        self._burst, self._rate, self._most = burst, per_second, most
        #: client → what was left, at what time
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Seconds until the client may try again; 0 when now."""
        left = self._now(client, now)
        return 0.0 if left >= 1 else (1 - left) / self._rate

    def failed(self, client: str, now: float) -> None:
        self._left[client] = (self._now(client, now) - 1, now)
        self._left.move_to_end(client)
        while len(self._left) > self._most:
            self._left.popitem(last=False)

    def _now(self, client: str, now: float) -> float:
        left, at = self._left.get(client, (self._burst, now))
        return min(self._burst, left + max(0.0, now - at) * self._rate)
