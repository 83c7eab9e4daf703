"""For the tests of rate limits: limited routes, and bursts of requests."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from cloudlet.contracts.edge import Backend, EdgeConfiguration, Route
from cloudlet.contracts.limits import LimitStore
from cloudlet.stack.gateway import Gateway
from cloudlet.stack.gateway import Route as Design
from cloudlet.stack.gateway.limits import RateLimit

from .conftest import Harness, backend


def limit(algorithm: str, rate: str, per: str = "client", burst: int | None = None) -> RateLimit:
    return RateLimit.model_validate({"algorithm": algorithm, "rate": rate, "per": per, "burst": burst})


def limited(path: str, *limits: RateLimit, to: str = "a", **more: object) -> Route:
    design = Design.model_validate({"path": path, "to": to, **more})
    return Route(path, to, design=design.model_copy(update={"rate_limits": limits}))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str
    began: float
    ended: float

    @property
    def allowed(self) -> bool:
        return self.status != 429

    @property
    def remaining(self) -> int:
        return int(self.headers["x-ratelimit-remaining"])


class Limited:
    """A harness whose edge has limits."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    async def start(
        self, *routes: Route, common: tuple[RateLimit, ...] = (), store: LimitStore | None = None, **more: object
    ) -> EdgeConfiguration:
        service = backend("a", *await self.harness.servers("a", 2))
        configuration = self.configuration(service, *routes, common=common, store=store, **more)
        await self.harness.edge.start(configuration)
        return configuration

    def configuration(
        self,
        service: Backend,
        *routes: Route,
        common: tuple[RateLimit, ...] = (),
        store: LimitStore | None = None,
        **more: object,
    ) -> EdgeConfiguration:
        return replace(
            self.harness.configuration(service, routes=routes),
            gateway=Gateway(rate_limits=common),
            limit_store=store,
            **more,  # type: ignore[arg-type]
        )

    async def get(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        began = time.monotonic()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.harness.client.request(method, path, headers=sent) as answer:
            text = await answer.text()
            found: dict[str, str] = {}
            for name, value in answer.headers.items():
                key = name.lower()
                found[key] = f"{found[key]}, {value}" if key in found else value
            return Answer(answer.status, found, text, began, time.monotonic())

    async def burst(self, count: int, path: str = "/", at_once: int = 1, **headers: str) -> list[Answer]:
        answers: list[Answer] = []
        left = iter(range(count))

        async def work() -> None:
            answers.extend([await self.get(path, **headers) for _ in left])

        await asyncio.gather(*(work() for _ in range(at_once)))
        return answers


def passed(answers: list[Answer]) -> int:
    assert {answer.status for answer in answers} <= {200, 429}, {answer.status for answer in answers}
    return sum(answer.allowed for answer in answers)


async def clock(seconds: float, within: float = 1.0) -> None:
    """Return when the wall clock is at this fraction of a window of `within` seconds, and hardly past it."""
    while not 0 <= time.time() % within - seconds < 0.05:
        await asyncio.sleep(0.005)
