"""Which route takes a request, and why: the twin of what the edge's maps decide (edge/render_routes.py).

Of all routes whose host, path, method, headers and query fit, the most specific wins:

    1. a named host before any host
    2. an exact path before one with parameters, that before a prefix
    3. among parameters the one whose literal segment stands earlier, among prefixes the longer one
    4. more conditions on headers and query before fewer
    5. methods named before none
    6. the file's order

A route that names GET takes HEAD too, unless one of the same host and path names HEAD. A preflight (the Fetch
standard, 3.2) goes to the route that takes the method which is asked for, where that route has `cors`. Where host, path
and conditions fit some route and the method none, the answer is 405 with `Allow`; where nothing fits, 404.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from cloudlet.policy.conditions import Condition
from cloudlet.stack.gateway.paths import Kind, Pattern

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
Rank: TypeAlias = tuple[bool, Kind, int, tuple[bool, ...], int, bool]


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is canonical (stack.gateway.paths), `host` lower case without port, `query` as it was sent."""

    method: str
    host: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""

    @property
    def asks_for(self) -> str | None:
        """The method that a preflight is about; None for any other request."""
        found = {name.lower(): value for name, value in self.headers}
        wanted = found.get("access-control-request-method")
        return wanted if self.method == "OPTIONS" and "origin" in found and wanted in METHODS else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route. Without methods it takes all; `cors` says that the edge answers preflights for it."""

    label: str
    pattern: Pattern
    host: str = ""
    methods: frozenset[str] = frozenset()
    conditions: tuple[Condition, ...] = ()
    cors: bool = False

    @property
    def place(self) -> tuple[str, tuple[str | None, ...], bool]:
        """Host and path, whatever the parameters are called."""
        return self.host, self.pattern.segments, self.pattern.prefix

    @property
    def rank(self) -> Rank:
        """The lower one wins; equal ones go by the file's order."""
        depth = -len(self.pattern.segments) if self.pattern.prefix else 0
        return (
            not self.host,
            self.pattern.kind,
            depth,
            self.pattern.mask,
            -len(self.conditions),
            not self.methods,
        )

    def takes_method(self, request: Request) -> bool:
        return not self.methods or request.method in self.methods or (self.cors and request.asks_for in self.methods)

    def is_at(self, request: Request) -> bool:
        """Whether host and path fit."""
        return self.host in ("", request.host) and self.pattern.takes(request.path)

    def failing(self, request: Request) -> Condition | None:
        """The first condition that does not hold."""
        unmet = (item for item in self.conditions if not item.holds(request.headers, request.query))
        return next(unmet, None)


@dataclass(frozen=True, slots=True)
class Passed:
    """A route of the same host and path that did not take the request."""

    label: str
    because: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`label` None is an answer of the edge's own: `status` 404, or 405 with the methods in `allow`."""

    label: str | None
    status: int
    because: str
    allow: tuple[str, ...] = ()
    passed: tuple[Passed, ...] = ()


class Table:
    """All routes of a gateway, in the file's order."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self.candidates = _with_head(tuple(candidates))

    @cached_property
    def ordered(self) -> tuple[Candidate, ...]:
        """The most specific first."""
        return tuple(sorted(self.candidates, key=lambda candidate: candidate.rank))

    def decide(self, request: Request) -> Decision:
        present = [candidate for candidate in self.ordered if candidate.is_at(request)]
        meant = [candidate for candidate in present if candidate.failing(request) is None]
        fitting = [candidate for candidate in meant if candidate.takes_method(request)]
        passed = tuple(
            Passed(item.label, _why_not(item, request, fitting)) for item in present if item not in fitting[:1]
        )
        if fitting:
            return Decision(fitting[0].label, 200, _because(fitting), passed=passed)
        if meant:
            named = {method for candidate in meant for method in candidate.methods}
            allow = tuple(method for method in METHODS if method in named)
            because = f"host and path fit, but no route takes {request.method}, only {_listed(allow)}"
            return Decision(None, 405, because, allow, passed)
        return Decision(
            None, 404, "no route takes this host and path" if not present else _unmet(present), passed=passed
        )


def _with_head(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    naming = {item.place for item in candidates if "HEAD" in item.methods}

    def completed(item: Candidate) -> Candidate:
        if "GET" not in item.methods or item.place in naming:
            return item
        return replace(item, methods=item.methods | {"HEAD"})

    return tuple(map(completed, candidates))


def _because(fitting: list[Candidate]) -> str:
    return f"{_advantage(*fitting[:2])}" if len(fitting) > 1 else "no other route takes it"


def _why_not(candidate: Candidate, request: Request, fitting: list[Candidate]) -> str:
    failing = candidate.failing(request)
    if failing is not None:
        return f"it {failing.refusal(request.headers, request.query)}"
    if not candidate.takes_method(request):
        return f"it takes {_listed([m for m in METHODS if m in candidate.methods])}, not {request.method}"
    return f"it would take it too, but {_advantage(fitting[0], candidate)}"


def _advantage(winner: Candidate, other: Candidate) -> str:
    """Why the winner stands before the other."""
    differing = next((n for n, (a, b) in enumerate(zip(winner.rank, other.rank, strict=True)) if a != b), None)
    return f"{winner.label} {_ADVANTAGES[differing] if differing is not None else 'stands earlier in the file'}"


_ADVANTAGES = {
    0: "names the host",
    1: "has the more exact path (exact before parameters before prefix)",
    2: "has the longer prefix",
    3: "has a literal segment where the other has a parameter",
    4: "has more conditions",
    5: "names the method",
}


def _unmet(present: list[Candidate]) -> str:
    return f"host and path fit {_listed([item.label for item in present])}, but not the conditions"


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
