"""Rate limits: each can be counted as it is written. Who is known where stands in identity.py."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.gateway.limits import RateLimit
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule
from cloudlet.stack.units import format_duration, format_rate

_BUCKETS = ("token-bucket", "leaky-bucket")
#: requests of a window: the count times the window's milliseconds is a whole number that a double holds
_MOST_OF_WINDOW = 100_000_000
#: of a log, which keeps the time of each for everybody who is counted
_MOST_OF_LOG = 10_000
#: per second, of a bucket: its interval is a few ticks of a clock of microseconds
_FASTEST = 100_000
_LARGEST_BURST = 1_000_000
#: seconds: HAProxy's timers hold 24.8 days
_LONGEST = 24 * 86400.0
#: seconds; whoever would wait longer in a queue has gone
_LONGEST_WAIT = 300.0
#: limits that one request is under, the gateway's and its route's
_MOST_STACKED = 16


def _limits(design: Design) -> Iterator[tuple[Path, RateLimit]]:
    """Each with its place."""
    gateway = design.stack.gateway
    for index, limit in enumerate(gateway.rate_limits if gateway else ()):
        yield ("gateway", "rate_limits", index), limit
    for number, route in design.routes:
        for index, limit in enumerate(route.rate_limits):
            yield ("gateway", "routes", number, "rate_limits", index), limit


def countable(design: Design) -> Iterator[Finding]:
    """What no counter can hold, or no clock tell apart."""
    for path, limit in _limits(design):
        found = _bucket(limit) if limit.algorithm in _BUCKETS else _window(limit)
        if found:
            reason, fix = found
            place: Path = (*path, "rate")
            yield Finding(place, f"{dotted(place)}: {format_rate(limit.rate)} {reason}", fix)


def _window(limit: RateLimit) -> tuple[str, str] | None:
    count, per = limit.rate.count, limit.rate.per
    if per < 1:
        return f"is finer than a {limit.algorithm} can tell, whose windows last a second at least", "write it per s"
    if count != int(count):
        return f"is no whole number of requests in a window of a {limit.algorithm}", "write it in a longer unit"
    if limit.algorithm == "sliding-log" and count > _MOST_OF_LOG:
        reason = f"is more than {_MOST_OF_LOG}, and a sliding-log keeps each request's time for everybody it counts"
        return reason, "use sliding-counter"
    if count > _MOST_OF_WINDOW:
        return f"is more than a window's counter holds, {_MOST_OF_WINDOW}", "write it in a shorter unit"
    return None


def _bucket(limit: RateLimit) -> tuple[str, str] | None:
    rate = limit.rate
    burst = limit.burst if limit.burst is not None else max(1, int(rate.count))
    if rate.per_second > _FASTEST:
        return f"is faster than a {limit.algorithm} can tell, {_FASTEST}/s", f"write at most {_FASTEST}/s"
    if burst > _LARGEST_BURST:
        return f"makes a burst of {burst}, more than {_LARGEST_BURST}", "write a smaller `burst`"
    fill = (burst + (limit.algorithm == "leaky-bucket")) / rate.per_second
    if limit.algorithm == "leaky-bucket" and burst / rate.per_second > _LONGEST_WAIT:
        most = int(_LONGEST_WAIT * rate.per_second)
        reason = f"with {burst} waiting lets the last wait longer than {format_duration(_LONGEST_WAIT)}"
        fix = f"write `burst: {most}` or less" if most else "write a higher rate, or use token-bucket"
        return reason, fix
    if fill > _LONGEST:
        reason = f"takes longer to fill a burst of {burst} than the longest timer there is, 24d"
        return reason, "write a smaller `burst` or a higher rate"
    return None


def effective(design: Design) -> Iterator[Finding]:
    """What would change nothing."""
    seen: set[tuple[Path, RateLimit]] = set()
    for path, limit in _limits(design):
        if limit.burst is not None and limit.algorithm not in _BUCKETS:
            place: Path = (*path, "burst")
            message = f"{dotted(place)}: a {limit.algorithm} has no burst, so it has no effect"
            yield Finding(place, message, "take it out, or use token-bucket or leaky-bucket", key=True)
        if (path[:-1], limit) in seen:
            yield Finding(path, f"{dotted(path)}: the same limit stands before it, so it has no effect", "take it out")
        seen.add((path[:-1], limit))


def stacked(design: Design) -> Iterator[Finding]:
    """A request leaves one queue only, and carries so many counters."""
    common = design.stack.gateway.rate_limits if design.stack.gateway else ()
    for number, route in design.routes:
        limits = (*common, *route.rate_limits)
        path: Path = ("gateway", "routes", number, "rate_limits")
        if sum(limit.algorithm == "leaky-bucket" for limit in limits) > 1:
            message = f"{dotted(path)}: a request cannot leave two leaky buckets at a constant rate each"
            yield Finding(path if route.rate_limits else path[:-1], message, "make all but one a token-bucket")
        if len(limits) > _MOST_STACKED:
            message = f"{dotted(path)}: {len(limits)} limits, with the gateway's own, on one request"
            yield Finding(path if route.rate_limits else path[:-1], message, f"write at most {_MOST_STACKED}")


RULES: tuple[Rule, ...] = (countable, effective, stacked)
