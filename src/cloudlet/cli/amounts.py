"""Numbers as people read them: three digits and a unit."""

from __future__ import annotations

_AGES = ((86_400, "d"), (3_600, "h"), (60, "m"))


def latency(seconds: float) -> str:
    """`340 µs`, `12.3 ms`, `1.52 s`; a dash for none."""
    if seconds <= 0:
        return "-"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{_digits(seconds * 1e3)} ms" if seconds < 1 else f"{_digits(seconds)} s"


def age(seconds: float) -> str:
    """`8s`, `5m`, `3h`, `2d`: the largest unit that fits."""
    for size, unit in _AGES:
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"


def size(count: int) -> str:
    """`64 MB`; a dash for none."""
    if count <= 0:
        return "-"
    amount, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{amount:.0f} {units[0]}" if units[0] == "B" else f"{_digits(amount)} {units[0]}"


def share(part: float) -> str:
    return f"{part * 100:.0f} %" if part > 0 else "-"


def count(number: int) -> str:
    return f"{number:,}"


def _digits(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{number:.1f}" if number < 100 else f"{number:.0f}"
