"""Statistics of several processes as if they were one's: counts are added, also those of a process that has died since,
so that they never fall while there are the same replicas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from cloudlet.contracts.edge import BackendStatistics, ServerState, ServerStatistics

_NOW = frozenset({"sessions", "queued"})
_STATES = (ServerState.UP, ServerState.DRAINING, ServerState.DOWN, ServerState.MAINTENANCE)
Statistics = BackendStatistics | ServerStatistics
Key = tuple[str, str]


def _counts(kind: type[Statistics]) -> tuple[str, ...]:
    """The names of what only grows while a process lives."""
    names = (field.name for field in fields(kind) if field.type == "int" and field.name not in _NOW)
    return tuple(name for name in names if name not in ("weight", "rate"))


_OF_BACKENDS, _OF_SERVERS = _counts(BackendStatistics), _counts(ServerStatistics)


class Sums:
    """Remembers what each replica said last, and what it had counted before its process was another one."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[BackendStatistics, ...]] = {}
        self._before: dict[int, dict[Key, dict[str, int]]] = {}

    def forget(self, replica: int) -> None:
        """There is no such replica any more."""
        self._last.pop(replica, None)
        self._before.pop(replica, None)

    def add(self, found: Mapping[int, tuple[BackendStatistics, ...]]) -> tuple[BackendStatistics, ...]:
        """The sum of what these replicas say now and of what those that are silent said last."""
        for replica, now in found.items():
            self._carry_over(replica, now)
            self._last[replica] = now
        return merged(
            self._with_before(replica, said if replica in found else _quiet(said))
            for replica, said in self._last.items()
        )

    def _carry_over(self, replica: int, now: Iterable[BackendStatistics]) -> None:
        """What a process that was restarted since had counted."""
        before, last = self._before.get(replica, {}), dict(_flat(self._last.get(replica, ())))
        present = dict(_flat(now))
        for key, item in present.items():
            if key in last and _restarted(last[key], item):
                kept = before.get(key, {})
                before[key] = {name: kept.get(name, 0) + getattr(last[key], name) for name in _names(item)}
        self._before[replica] = {key: counts for key, counts in before.items() if key in present}

    def _with_before(self, replica: int, said: Iterable[BackendStatistics]) -> tuple[BackendStatistics, ...]:
        before = self._before.get(replica, {})

        def server(item: ServerStatistics) -> ServerStatistics:
            counts = before.get((item.backend, item.name), {})
            return replace(item, **{name: getattr(item, name) + more for name, more in counts.items()})

        def backend(item: BackendStatistics) -> BackendStatistics:
            counts = before.get((item.name, ""), {})
            more = {name: getattr(item, name) + count for name, count in counts.items()}
            return replace(item, **more, servers=tuple(map(server, item.servers)))

        return tuple(map(backend, said))


def _quiet(said: Iterable[BackendStatistics]) -> tuple[BackendStatistics, ...]:
    """Of a process that does not answer: it counted this, and has nothing now."""
    return tuple(
        replace(
            item,
            sessions=0,
            queued=0,
            rate=0,
            servers=tuple(replace(server, sessions=0, queued=0) for server in item.servers),
        )
        for item in said
    )


def merged(parts: Iterable[Iterable[BackendStatistics]]) -> tuple[BackendStatistics, ...]:
    """One entry for each backend and server of any part, in the order in which they come."""
    groups: dict[str, list[BackendStatistics]] = {}
    for part in parts:
        for item in part:
            groups.setdefault(item.name, []).append(item)
    return tuple(_backend(items) for items in groups.values())


def _backend(items: list[BackendStatistics]) -> BackendStatistics:
    servers: dict[str, list[ServerStatistics]] = {}
    for server in (server for item in items for server in item.servers):
        servers.setdefault(server.name, []).append(server)
    return replace(
        items[0],
        **_added(items, (*_OF_BACKENDS, *_NOW, "rate")),
        response_time=_mean([(item.requests, item.response_time) for item in items]),
        servers=tuple(_server(group) for group in servers.values()),
    )


def _server(items: list[ServerStatistics]) -> ServerStatistics:
    """It is up where any process sends it requests; what the check said is the word of one that agrees."""
    state = min((item.state for item in items), key=_STATES.index)
    return replace(
        items[0],
        **_added(items, (*_OF_SERVERS, *_NOW)),
        state=state,
        check=next(item.check for item in items if item.state is state),
        response_time=_mean([(item.requests, item.response_time) for item in items]),
    )


def _added(items: Iterable[Statistics], names: Iterable[str]) -> dict[str, Any]:
    items = list(items)
    return {name: sum(getattr(item, name) for item in items) for name in names}


def _mean(weighted: list[tuple[int, float]]) -> float:
    whole = sum(weight for weight, _ in weighted)
    return sum(weight * value for weight, value in weighted) / whole if whole else weighted[0][1]


def _flat(said: Iterable[BackendStatistics]) -> Iterable[tuple[Key, Statistics]]:
    for item in said:
        yield (item.name, ""), item
        for server in item.servers:
            yield (item.name, server.name), server


def _names(item: Statistics) -> tuple[str, ...]:
    return _OF_BACKENDS if isinstance(item, BackendStatistics) else _OF_SERVERS


def _restarted(last: Statistics, now: Statistics) -> bool:
    """Its count of requests fell: another process, or another server of the same name."""
    return now.requests < last.requests
