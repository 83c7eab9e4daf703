"""Durations, sizes, rates and shares as people write them, and back.

One number and one unit, exact: numbers go through Decimal, so what is formatted parses to the same value.
Units of size follow the standard: `MB` is 10^6 bytes (SI), `MiB` 2^20 (IEC 80000-13).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

#: seconds
DURATIONS: Mapping[str, Decimal] = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
#: bytes
SIZES: Mapping[str, int] = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
DURATION_PATTERN = rf"^{_NUMBER}(?:{'|'.join(DURATIONS)})$"
SIZE_PATTERN = rf"^{_NUMBER}(?:{'|'.join(SIZES)})$"
RATE_PATTERN = rf"^{_NUMBER}/(?:{'|'.join(DURATIONS)})$"
SHARE_PATTERN = rf"^{_NUMBER}%$"
ERRORS_PATTERN = r"^[1-9][0-9]{0,5} errors?$"
_SPLIT = re.compile(rf"({_NUMBER})\s?([A-Za-z]*)")


class UnitError(ValueError):
    """The text is no such quantity; `fix` says how one is written."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` in every `per` seconds."""

    count: float
    per: float

    @property
    def per_second(self) -> float:
        return self.count / self.per


def parse_duration(text: str) -> float:
    """`500ms`, `30s`, `5m`, `1h`, `1d` → seconds. Raises UnitError."""
    number, unit = _split(text, "duration", "write a number and a unit: 500ms, 30s, 5m, 1h or 1d")
    if unit not in DURATIONS:
        raise UnitError(*_bad_unit(text, "duration", number, unit, DURATIONS, "s"))
    return float(number * DURATIONS[unit])


def format_duration(seconds: float) -> str:
    """Seconds → the largest unit without a fraction, else milliseconds. Raises ValueError when negative."""
    exact = _exact(seconds)
    if not exact:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if exact % DURATIONS[unit] == 0:
            return f"{exact / DURATIONS[unit]:f}".removesuffix(".0") + unit
    return f"{(exact / DURATIONS['ms']).normalize():f}ms"


def parse_size(text: str) -> int:
    """`64MB`, `2GB`, `512KiB` → bytes. Raises UnitError."""
    number, unit = _split(text, "size", "write a number and a unit: 64MB, 2GB or 512MiB")
    if unit not in SIZES:
        raise UnitError(*_bad_unit(text, "size", number, unit, SIZES, "MB"))
    size = number * SIZES[unit]
    if size != int(size):
        raise UnitError(f'"{text}" is no whole number of bytes', "write it in a smaller unit")
    return int(size)


def format_size(size: int) -> str:
    """Bytes → the largest unit that needs no fraction."""
    fitting = [(factor, unit) for unit, factor in SIZES.items() if size >= factor and size % factor == 0]
    factor, unit = max(fitting, default=(1, "B"))
    return f"{size // factor}{unit}"


def parse_rate(text: str) -> Rate:
    """`10/s`, `100/m` → Rate. Raises UnitError; a rate of nothing is none."""
    count, slash, unit = text.partition("/")
    fix = "write a number per unit: 10/s, 100/m, 5/h or 1/d"
    if not slash or unit not in DURATIONS or not re.fullmatch(_NUMBER, count):
        raise UnitError(f'"{text}" is not a rate', fix)
    if not Decimal(count):
        raise UnitError(f'"{text}" is a rate of nothing', fix)
    return Rate(float(count), float(DURATIONS[unit]))


def format_rate(rate: Rate) -> str:
    """Rate → `100/m`. Raises ValueError for a `per` that is no unit."""
    for unit, seconds in DURATIONS.items():
        if float(seconds) == rate.per:
            return f"{_plain(_exact(rate.count))}/{unit}"
    raise ValueError(f"{rate.per} s is no unit of time")


def parse_share(text: str) -> float:
    """`70%` → 0.7. Raises UnitError."""
    number, unit = text[:-1], text[-1:]
    if unit != "%" or not re.fullmatch(_NUMBER, number):
        fix = "write a percentage: 70%"
        if re.fullmatch(_NUMBER, text):
            fix = f"write {text if Decimal(text) > 1 else _plain(Decimal(text) * 100)}%"
        raise UnitError(f'"{text}" is not a share', fix)
    return float(Decimal(number) / 100)


def format_share(share: float) -> str:
    """0.7 → `70%`."""
    return f"{_plain(_exact(share) * 100)}%"


def parse_errors(text: str) -> int:
    """`5 errors` → 5. Raises UnitError."""
    if not re.fullmatch(ERRORS_PATTERN, text):
        fix = f"write {text} errors" if re.fullmatch("[1-9][0-9]{0,5}", text) else "write 5 errors"
        raise UnitError(f'"{text}" is not a count of errors', fix)
    return int(text.partition(" ")[0])


def format_errors(count: int) -> str:
    """5 → `5 errors`."""
    return f"{count} error" if count == 1 else f"{count} errors"


def _split(text: str, kind: str, fix: str) -> tuple[Decimal, str]:
    found = _SPLIT.fullmatch(text)
    if not found:
        raise UnitError(f'"{text}" is not a {kind}', fix)
    return Decimal(found[1]), found[2] if " " not in text else f" {found[2]}"


def _bad_unit(
    text: str, kind: str, number: Decimal, unit: str, units: Mapping[str, object], usual: str
) -> tuple[str, str]:
    """Message and fix for a unit that is missing, unknown, in another case or set apart by a space."""
    close = {known.lower(): known for known in units}.get(unit.strip().lower(), usual)
    reason = "has no unit" if not unit else f'has the unit "{unit}"' if unit == unit.strip() else "has a space"
    return f'the {kind} "{text}" {reason}', f"write {number}{close} (units: {', '.join(units)})"


def _exact(value: float) -> Decimal:
    if value < 0:
        raise ValueError(f"{value} is negative")
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
