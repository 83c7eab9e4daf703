"""What the loop sets from measurements: weights of least-response-time and resource-based, and passive ejection.

Reads HAProxy's counters and /proc, asks the pure policies, and tells the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cloudlet.contracts.edge import USUAL_WEIGHT, ServerState, ServerStatistics
from cloudlet.control.journal import Journal
from cloudlet.control.measuring import Measurements
from cloudlet.control.store import Instance
from cloudlet.control.topology import is_balanced
from cloudlet.edge.group import EdgeGroup
from cloudlet.policy import ejection
from cloudlet.policy.weights import Measured, Weight, by_cpu, by_response_time
from cloudlet.stack import Service

#: seconds between two looks
_EVERY = 1.0
_BY_WEIGHT: dict[str, Callable[[list[Measured]], tuple[Weight, ...]]] = {
    "least-response-time": by_response_time,
    "resource-based": by_cpu,
}


@dataclass(frozen=True, slots=True)
class _Counted:
    """A server's counters as last seen, or the difference to that; they start again with every HAProxy process.

    `requests` are attempts. HAProxy counts a failed one in up to three columns: a refused connection only as a
    redispatch, an empty answer as a broken response, retry and redispatch, and as two broken responses when it was not
    repeated (measured on 2.8.25). So there were at most as many as the greatest of the columns (`broken`), and as the
    attempts that have ended unanswered, which clients that went away are among.
    """

    requests: int = 0
    broken: tuple[int, ...] = (0, 0, 0, 0)
    unanswered: int = 0
    responses_5xx: int = 0

    @classmethod
    def of(cls, server: ServerStatistics) -> _Counted:
        return cls(
            server.requests,
            (server.connection_errors, server.response_errors, server.retries, server.redispatches),
            server.requests - server.responses - server.sessions,
            server.responses_5xx,
        )

    def since(self, before: _Counted) -> _Counted:
        if self.requests < before.requests:
            return self
        return _Counted(
            self.requests - before.requests,
            tuple(now - was for now, was in zip(self.broken, before.broken, strict=True)),
            self.unanswered - before.unanswered,
            self.responses_5xx - before.responses_5xx,
        )

    @property
    def connection_errors(self) -> int:
        return max(0, min(max(self.broken), self.unanswered))


class Steering:
    """Remembers what the policies need from one look to the next. `weights` is by instance name."""

    def __init__(self, edge: EdgeGroup, journal: Journal, measurements: Measurements) -> None:
        self._edge, self._journal, self._measurements = edge, journal, measurements
        self.weights: dict[str, int] = {}
        self._counted: dict[str, _Counted] = {}
        self._ejections: dict[str, Mapping[str, ejection.Record]] = {}
        self._pids: dict[str, int | None] = {}
        self._looked = 0.0

    def ejected(self, service: str) -> set[str]:
        """The instances that passive checks have taken out."""
        return {n for n, r in self._ejections.get(service, {}).items() if r.out_until is not None}

    def out(self) -> set[tuple[str, str]]:
        """All of them, each with its service."""
        return {(service, name) for service in self._ejections for name in self.ejected(service)}

    async def steer(self, services: Mapping[str, Service], serving: Iterable[Instance], now: float) -> None:
        """Look, decide and set, at most once a second."""
        if now - self._looked < _EVERY:
            return
        self._looked = now
        present = {instance.name: instance.pid for instance in serving}
        self._forget_replaced(present)
        for backend in await self._edge.statistics():
            service = services.get(backend.name)
            if service is not None and is_balanced(service):
                servers = [server for server in backend.servers if server.name in present]
                await self._steer_service(backend.name, service, servers, now)
        for gone in set(self.weights) - set(present):
            del self.weights[gone]

    def _forget_replaced(self, present: Mapping[str, int | None]) -> None:
        """A fresh process is not to blame for what the one before it of the same name did."""
        replaced = {name for name, pid in present.items() if self._pids.get(name, pid) != pid}
        for service, records in self._ejections.items():
            self._ejections[service] = {name: record for name, record in records.items() if name not in replaced}
        self._pids = dict(present)

    async def _steer_service(self, name: str, service: Service, servers: list[ServerStatistics], now: float) -> None:
        news = {s.name: _Counted.of(s).since(self._counted.get(s.name, _Counted())) for s in servers}
        self._counted |= {server.name: _Counted.of(server) for server in servers}
        await self._eject(name, service, servers, news, now)
        if service.balance.algorithm in _BY_WEIGHT:
            await self._weigh(name, service, servers, news)

    async def _eject(
        self,
        name: str,
        service: Service,
        servers: list[ServerStatistics],
        news: Mapping[str, _Counted],
        now: float,
    ) -> None:
        rule = ejection.Rule(service.eject.after, service.eject.at_most, service.eject.for_)
        traffic = [_traffic(server, news[server.name], service.eject.on) for server in servers]
        decision = ejection.decide(traffic, self._ejections.get(name, {}), rule, now)
        self._ejections[name] = decision.records
        for action in decision.actions:
            if isinstance(action, ejection.Eject):
                self._journal.warning(action.name, "ejected", action.because)
                await self._edge.drain_server(name, action.name)
            else:
                self._journal.info(action.name, "restored", action.because)
                await self._edge.restore_server(name, action.name)

    async def _weigh(
        self, name: str, service: Service, servers: list[ServerStatistics], news: Mapping[str, _Counted]
    ) -> None:
        up = [server for server in servers if server.state is ServerState.UP]
        cores = service.resources.cpu or 1.0
        measured = [
            Measured(
                name=server.name,
                weight=self.weights.get(server.name, USUAL_WEIGHT),
                response_time=server.response_time,
                requests=news[server.name].requests,
                errors=news[server.name].connection_errors + news[server.name].responses_5xx,
                samples=server.requests,
                cpu=min(1.0, self._measurements.cpu(server.name) / cores),
            )
            for server in up
        ]
        for decision in _BY_WEIGHT[service.balance.algorithm](measured):
            if decision.weight != self.weights.get(decision.name, USUAL_WEIGHT):
                await self._edge.set_weight(name, decision.name, decision.weight)
            self.weights[decision.name] = decision.weight


def _traffic(server: ServerStatistics, news: _Counted, kinds: Iterable[str]) -> ejection.Traffic:
    errors = (news.connection_errors if "connection" in kinds else 0) + (news.responses_5xx if "5xx" in kinds else 0)
    up = server.state is not ServerState.DOWN
    return ejection.Traffic(server.name, errors, max(0, news.requests - errors), up)
