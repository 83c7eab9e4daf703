"""Which answers a shared cache may keep, and for how long one is fresh: RFC 9111, pure, the time given in Unix seconds.

Narrower than the RFC where it leaves a choice: only explicit lifetimes (no guessing from Last-Modified), nothing that
sets a cookie, `private` and `no-cache` of single fields count for all of them, cookies like Authorization.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from cloudlet.gateway.egress.fields import Fields, first, tokens
from cloudlet.gateway.egress.messages import Head
from cloudlet.stack.destinations import Address

_DIRECTIVE = re.compile(r'([a-z0-9-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?')
_STATUSES = frozenset({200, 203, 300, 301, 308, 404, 410})
#: RFC 9111, 1.2.2
_LONGEST = 2**31
#: never refreshed by a 304 (RFC 9111, 3.2)
_FIXED = frozenset({b"content-encoding", b"content-length", b"content-range", b"content-type"})


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that was kept. `age` is what it had when it came, at `at`."""

    status: int
    reason: bytes
    fields: Fields
    body: bytes
    at: float
    age: float
    lifetime: float
    #: the request's values of the fields named by Vary
    varies: tuple[tuple[bytes, bytes], ...]
    address: Address

    @property
    def size(self) -> int:
        return 512 + len(self.body) + sum(len(name) + len(value) + 64 for name, value in self.fields)

    def current_age(self, now: float) -> float:
        """RFC 9111, 4.2.3."""
        return self.age + max(0.0, now - self.at)

    def fits(self, fields: Fields) -> bool:
        """Whether a request's fields select this variant (RFC 9111, 4.1)."""
        return all(_joined(fields, name) == value for name, value in self.varies)

    @property
    def validators(self) -> Fields:
        """What asks whether it is still good."""
        found = ((b"If-None-Match", first(self.fields, b"etag")),)
        dated = ((b"If-Modified-Since", first(self.fields, b"last-modified")),)
        return [(name, value) for name, value in (*found, *dated) if value]


def directives(fields: Fields) -> Mapping[str, str]:
    """Cache-Control; of a directive that is there twice the shorter time counts. `Pragma: no-cache` where there is
    none."""
    text = b",".join(value for name, value in fields if name.lower() == b"cache-control").decode("latin-1").lower()
    found: dict[str, str] = {}
    for name, quoted, plain in _DIRECTIVE.findall(text):
        value = quoted or plain
        if name not in found or _seconds(value) < _seconds(found[name]):
            found[name] = value
    if not text and b"no-cache" in tokens(fields, b"pragma"):
        found["no-cache"] = ""
    return found


def may_store(request: Fields, answer: Head) -> bool:
    """Whether the answer to this GET may be kept for everybody (RFC 9111, 3)."""
    control, asked = directives(answer.fields), directives(request)
    personal = first(request, b"authorization") or first(request, b"cookie")
    if personal and not {"public", "s-maxage", "must-revalidate"}.intersection(control):
        return False
    forbidden = {"no-store", "private"}.intersection(control) or "no-store" in asked
    if forbidden or answer.status not in _STATUSES or first(answer.fields, b"set-cookie"):
        return False
    if first(request, b"range") or b"*" in tokens(answer.fields, b"vary"):
        return False
    has_validator = first(answer.fields, b"etag") or first(answer.fields, b"last-modified")
    return lifetime(answer.fields, 0.0) > 0 or bool(has_validator and ("no-cache" in control or _timed(answer)))


def lifetime(fields: Fields, now: float) -> float:
    """Seconds that it is fresh for, from when it was made; 0 when it must be asked again each time (4.2.1)."""
    control = directives(fields)
    if "no-cache" in control:
        return 0.0
    for name in ("s-maxage", "max-age"):
        if name in control:
            return _seconds(control[name])
    expires, date = _date(first(fields, b"expires")), _date(first(fields, b"date"))
    return max(0.0, expires - (date or now)) if expires is not None else 0.0


def first_age(fields: Fields, asked: float, answered: float) -> float:
    """How old it is when it comes (4.2.3): by its own `Age` and `Date`, and the time that the answer took."""
    date = _date(first(fields, b"date"))
    apparent = max(0.0, answered - date) if date is not None else 0.0
    return max(apparent, _seconds(first(fields, b"age").decode("latin-1")) + answered - asked)


def is_fresh(stored: Stored, request: Fields, now: float) -> bool:
    """Whether it may be given without asking (4.2, 5.2.1)."""
    asked, age = directives(request), stored.current_age(now)
    if "no-cache" in asked or ("max-age" in asked and age > _seconds(asked["max-age"])):
        return False
    return age + _seconds(asked.get("min-fresh", "0")) < stored.lifetime


def store(request: Fields, answer: Head, body: bytes, asked: float, now: float, address: Address) -> Stored:
    """The answer as it is kept; `answer.fields` are those that are passed inward."""
    names = sorted(set(tokens(answer.fields, b"vary")) - {b""})
    varies = tuple((name, _joined(request, name)) for name in names)
    age = first_age(answer.fields, asked, now)
    fields = [(name, value) for name, value in answer.fields if name.lower() != b"age"]
    return Stored(answer.status, answer.reason, fields, body, now, age, lifetime(answer.fields, now), varies, address)


def refreshed(stored: Stored, fields: Fields, asked: float, now: float) -> Stored:
    """With what a 304 says anew (3.2, 4.3.4)."""
    fresh = [(name, value) for name, value in fields if name.lower() not in _FIXED]
    names = {name.lower() for name, _ in fresh}
    merged = [*((name, value) for name, value in stored.fields if name.lower() not in names), *fresh]
    kept = [(name, value) for name, value in merged if name.lower() != b"age"]
    return Stored(
        stored.status,
        stored.reason,
        kept,
        stored.body,
        now,
        first_age(merged, asked, now),
        lifetime(merged, now),
        stored.varies,
        stored.address,
    )


def matches(stored: Stored, request: Fields) -> bool:
    """Whether the request has it already (`If-None-Match`, compared weakly: RFC 9110, 13.1.2)."""
    tag = first(stored.fields, b"etag").removeprefix(b"W/").lower()
    given = [each.removeprefix(b"w/") for each in tokens(request, b"if-none-match")]
    return bool(given) and (b"*" in given or (bool(tag) and tag in given))


def _timed(answer: Head) -> bool:
    """Whether it says anything of its lifetime."""
    return bool({"max-age", "s-maxage"}.intersection(directives(answer.fields)) or first(answer.fields, b"expires"))


def _joined(fields: Fields, name: bytes) -> bytes:
    return b", ".join(value.strip() for key, value in fields if key.lower() == name)


def _seconds(text: str) -> float:
    """0 for what is no number: it counts as stale."""
    return float(min(int(text), _LONGEST)) if text.isdecimal() and text.isascii() and len(text) < 19 else 0.0


def _date(value: bytes) -> float | None:
    """None for none; what is no date is long past."""
    if not value:
        return None
    try:
        return parsedate_to_datetime(value.decode("latin-1")).timestamp()
    except (ValueError, OverflowError):
        return 0.0
