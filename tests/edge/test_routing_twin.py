"""HAProxy against the policy: random tables of routes and requests, tricks among them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloudlet.contracts.edge import Route
from cloudlet.edge.render_routes import table
from cloudlet.policy.routing import Request
from cloudlet.stack.gateway.paths import canonical

from .asking import Answer, ask, request
from .conftest import Harness, backend
from .routes import route

_HOSTS = 12
_REQUESTS = 400
_SEGMENTS = ("a", "b", "{}", "{}", "%C3%A9")
_VALUES = ("1", "1", "2", "a b&=%+", "any")
_STEPS = ("a", "b", "c", "%61", "%C3%A9", "a%2Fb", "", "%20", "{}", "a\\", "%0a")
_LINES = ("1", "1", "2", "1, 2", "a b&=%+", "", " 1 ")
_QUERY = (
    *("v=1", "v=2", "%76=1", "v=%31", "V=1", "v", "v=", "w%3D%25=2", "w=%=2", "x=%26v=1", "v=a+b%26%3D%25%2B"),
    *("v=a%20b%26=%%2b", "v%00=1", "x=%zz", "x=%0a", "v=1%00", "", "w%3d%=1", "v=any"),
)
_ASKED_METHODS = ("GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND")


@dataclass(frozen=True)
class Asked:
    host: int
    method: str
    path: str
    query: str
    lines: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return f"h{self.host}.localhost"

    def bytes(self) -> bytes:
        target = f"{self.path}?{self.query}" if self.query else self.path
        return request(target, self.name.upper() if self.host % 2 else f"{self.name}:80", self.method, self.lines)


class Made:
    """Random tables and requests, the same for the same seed: hundreds of values are too many for a strategy."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def routes(self) -> list[Route]:
        """Of each host, and last for any host; each answers with its name."""
        return [self._route(host, n) for host in range(_HOSTS + 1) for n in range(self.random.randrange(8))]

    def _route(self, host: int, number: int) -> Route:
        choose, name = self.random.choice, f"r{host}-{number}"
        steps = [choose(_SEGMENTS) for _ in range(choose((0, 1, 1, 2, 2, 3)))]
        named = [f"{{p{place}}}" if step == "{}" else step for place, step in enumerate(steps)]
        path = "".join(f"/{step}" for step in named) + choose(("", "", "/*", "/"))
        headers = {header: choose(_VALUES) for header in ("X-V", "X-W") if self.random.random() < 0.25}
        return route(
            path or "/",
            host=f"h{host}.localhost" if host < _HOSTS else None,
            name=name,
            methods=self._some(("GET", "HEAD", "POST", "OPTIONS")),
            match={
                "headers": headers,
                "query": {choose(("v", "v", "w=%")): choose(_VALUES)} if choose("123") == "1" else {},
            },
            static={"headers": {"x-route": name}},
        )

    def asked(self) -> Asked:
        choose = self.random.choice
        lines = [(choose(("X-V", "x-w")), choose(_LINES)) for _ in range(choose((0, 1, 1, 2)))]
        path = "".join(f"/{choose(_STEPS)}" for _ in range(choose((1, 1, 2, 2, 3, 4))))
        query = "&".join(choose(_QUERY) for _ in range(choose((0, 1, 1, 2))))
        return Asked(self.random.randrange(_HOSTS + 1), choose(_ASKED_METHODS), path, query, tuple(lines))

    def _some(self, values: tuple[str, ...]) -> list[str]:
        return self.random.sample(values, self.random.choice((0, 0, 1, 2)))


async def test_haproxy_decides_as_the_policy_says(harness: Harness) -> None:
    """Hosts, paths, methods, headers and queries: the same route, or the same refusal with the same methods."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=14,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(st.integers(0, 2**32))
    def hold(seed: int) -> None:
        asyncio.run_coroutine_threadsafe(_compare(harness, Made(seed)), loop).result(60)

    await asyncio.to_thread(hold)


async def _compare(harness: Harness, made: Made) -> None:
    configuration = harness.configuration(backend("a"), routes=tuple(made.routes()) or (Route("/*", "a"),))
    await harness.edge.apply(configuration)
    known = table(configuration)
    asked = [made.asked() for _ in range(_REQUESTS)]
    answers = await ask(harness.port, [(each.method, each.bytes()) for each in asked])
    for each, answer in zip(asked, answers, strict=True):
        path = canonical(each.path)
        if path is None:
            assert answer.status == 400, (each, answer)
            continue
        wanted = known.decide(Request(each.method, each.name, path, each.lines, each.query))
        assert _decided(answer) == (wanted.label, wanted.status, ", ".join(wanted.allow)), (each, wanted, answer)


def _decided(answer: Answer) -> tuple[str | None, int, str]:
    return answer.headers.get("x-route"), answer.status, answer.headers.get("allow", "")
