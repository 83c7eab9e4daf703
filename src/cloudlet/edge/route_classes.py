"""How routes are looked up: *classes* of paths, the most specific first, each one map with its key.

    exact      the path itself
    shape      the path with the parameters' segments as `{}`: one class for all routes with them in the same places
    prefix     the longest that the path begins with
    rest       a prefix with parameters: as a shape, whatever follows

Prefixes are one class, unless some have parameters: then those stand between the longer and the shorter ones. Where
routes name hosts, all classes are there for them first, with host and path as the key. The number of classes, and so of
rules, grows with the shapes of paths and not with the routes.

An exact path, and a prefix's own (`/a` of `/a/*`), is known whole, so its ladder holds everything that takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import groupby

from cloudlet.edge.ladders import Ladder, ladder
from cloudlet.policy.routing import Candidate, Table

_Mask = tuple[bool, ...]
_Place = tuple[int, _Mask]


class Lookup(StrEnum):
    EXACT = "exact"
    SHAPE = "shape"
    PREFIX = "prefix"
    REST = "rest"


@dataclass(frozen=True)
class RouteClass:
    """`entries` are keys with what may take them."""

    lookup: Lookup
    host: bool
    file: str
    mask: _Mask = ()
    entries: dict[str, Ladder] = field(default_factory=dict)

    @cached_property
    def ladders(self) -> dict[str, Ladder]:
        """By name, those that are no plain route."""
        return {item.name: item for item in self.entries.values() if item.label is None}


def classes(table: Table) -> tuple[RouteClass, ...]:
    named = [candidate for candidate in table.ordered if candidate.host]
    general = [candidate for candidate in table.ordered if not candidate.host]
    return (*(_level(named, host=True) if named else ()), *_level(general, host=False))


def _level(candidates: list[Candidate], *, host: bool) -> Iterator[RouteClass]:
    prefix = "routes-host-" if host else "routes-"
    by_host = {
        name: _Index(items) for name, items in groupby(sorted(candidates, key=lambda item: item.host), lambda c: c.host)
    }
    yield _class(Lookup.EXACT, host, f"{prefix}exact.map", (), ((name, i.exact()) for name, i in by_host.items()))
    for mask in sorted({mask for index in by_host.values() for mask in index.shapes}):
        found = ((name, index.shape(mask)) for name, index in by_host.items())
        yield _class(Lookup.SHAPE, host, f"{prefix}shape-{_digits(mask)}.map", mask, found)
    yield from _prefixes(by_host, prefix, host=host)


def _prefixes(by_host: dict[str, _Index], prefix: str, *, host: bool) -> Iterator[RouteClass]:
    """Longer before shorter; of the same length the one without parameters, then the later parameter."""
    rests = sorted({place for index in by_host.values() for place in index.rests})
    ends: list[_Place | None] = [*rests, None]
    start: _Place | None = None
    for number, end in enumerate(ends):
        file = f"{prefix}prefix-{number}.map" if rests else f"{prefix}prefix.map"
        found = ((name, index.prefixes(start, end)) for name, index in by_host.items())
        yield _class(Lookup.PREFIX, host, file, (), found)
        if end is not None:
            mask = end[1]
            rest = ((name, index.rest(end)) for name, index in by_host.items())
            yield _class(Lookup.REST, host, f"{prefix}rest-{_digits(mask)}.map", mask, rest)
        start = end


def _class(
    lookup: Lookup, host: bool, file: str, mask: _Mask, found: Iterable[tuple[str, dict[str, list[Candidate]]]]
) -> RouteClass:
    entries = {name + key: ladder(items) for name, keys in found for key, items in keys.items()}
    return RouteClass(lookup, host, file, mask, entries)


def _digits(mask: _Mask) -> str:
    return "".join("1" if parameter else "0" for parameter in mask)


class _Index:
    """The routes of one host by their paths, in their order."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        #: (prefix, mask) → key → routes
        self._known: dict[tuple[bool, _Mask], dict[str, list[Candidate]]] = {}
        for candidate in candidates:
            path = candidate.pattern
            self._known.setdefault((path.prefix, path.mask), {}).setdefault(path.key, []).append(candidate)

    @property
    def shapes(self) -> list[_Mask]:
        return [mask for prefix, mask in self._known if not prefix and any(mask)]

    @property
    def rests(self) -> list[_Place]:
        return [(-len(mask), mask) for prefix, mask in self._known if prefix and any(mask)]

    def exact(self) -> dict[str, list[Candidate]]:
        plain = [(prefix, keys) for (prefix, mask), keys in self._known.items() if not any(mask)]
        paths = [key for prefix, keys in plain if not prefix for key in keys]
        paths += [key.removesuffix("/") for prefix, keys in plain if prefix for key in keys if key != "/"]
        return {path: self._takers(path) for path in dict.fromkeys(paths)}

    def shape(self, mask: _Mask) -> dict[str, list[Candidate]]:
        return self._known.get((False, mask), {})

    def rest(self, place: _Place) -> dict[str, list[Candidate]]:
        return self._known.get((True, place[1]), {})

    def prefixes(self, start: _Place | None, end: _Place | None) -> dict[str, list[Candidate]]:
        """Those without parameters that stand behind `start` and before `end`, each with the shorter ones of them."""
        own: dict[str, list[Candidate]] = {}
        for (prefix, mask), keys in self._known.items():
            place = (-len(mask), mask)
            if prefix and not any(mask) and (start is None or place > start) and (end is None or place < end):
                own |= keys
        return {key: [item for shorter in _upwards(key) for item in own.get(shorter, ())] for key in own}

    def _takers(self, path: str) -> list[Candidate]:
        steps = path.split("/")[1:]
        found: list[Candidate] = []
        for (prefix, mask), keys in self._known.items():
            if len(mask) == len(steps) or (prefix and len(mask) < len(steps)):
                shown = "".join("/{}" if hidden else f"/{step}" for hidden, step in zip(mask, steps, strict=False))
                taken = keys.get(f"{shown}/" if prefix else shown, [])
                found += [item for item in taken if item.pattern.takes(path)]
        return sorted(found, key=lambda item: item.rank)


def _upwards(key: str) -> Iterator[str]:
    """`/a/b/`, `/a/`, `/`."""
    while key:
        yield key
        key = key[: key.rfind("/", 0, -1) + 1]
