"""HAProxy against the policy: random tables of routes and requests, tricks among them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

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
_SEGMENTS = st.sampled_from(["a", "b", "{x}", "{y}", "%C3%A9"])
_METHODS = st.lists(st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]), max_size=2, unique=True)
_VALUES = st.sampled_from(["1", "2", "a b&=%+", "any"])
_NAMES = st.sampled_from(["v", "w=%"])


@st.composite
def _routes(draw: st.DrawFn) -> dict[str, Any]:
    segments = draw(st.lists(_SEGMENTS, max_size=3))
    path = "/" + "/".join(segments)
    ending = draw(st.sampled_from(["", "", "/*", "/"]))
    path = path.rstrip("/") + ending if path != "/" or ending == "/*" else path
    names = draw(st.lists(st.sampled_from(["X-V", "X-W"]), max_size=2, unique=True))
    return {
        "path": _once(path),
        "methods": draw(_METHODS),
        "match": {
            "headers": {name: draw(_VALUES) for name in names} if draw(st.integers(0, 3)) == 0 else {},
            "query": {draw(_NAMES): draw(_VALUES)} if draw(st.integers(0, 4)) == 0 else {},
        },
    }


def _once(path: str) -> str:
    """Parameters by their place, so that none is there twice."""
    steps = path.split("/")
    return "/".join(f"{{p{n}}}" if step.startswith("{") else step for n, step in enumerate(steps))


_PATH = st.lists(st.sampled_from(["a", "b", "c", "%61", "%C3%A9", "a%2Fb", "", "%20", "{}", "a\\", "%0a"]), max_size=4)
_LINES = st.lists(
    st.tuples(st.sampled_from(["X-V", "x-w"]), st.sampled_from(["1", "2", "1, 2", "a b&=%+", "", " 1 "])), max_size=3
)
_QUERY = st.lists(
    st.sampled_from(
        ["v=1", "v=2", "%76=1", "v=%31", "V=1", "v", "v=", "w%3D%25=2", "w=%=2", "x=%26v=1", "v=a+b%26%3D%25%2B"]
        + ["v=a%20b%26=%%2b", "v%00=1", "x=%zz", "x=%0a", "v=1%00", "", "w%3d%=1"]
    ),
    max_size=3,
)
_METHOD = st.sampled_from(["GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND"])


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


_ASKED = st.builds(
    Asked,
    st.integers(0, _HOSTS),
    _METHOD,
    _PATH.map(lambda steps: "/" + "/".join(steps)),
    _QUERY.map("&".join),
    _LINES.map(tuple),
)
_TABLES = st.lists(st.lists(_routes(), max_size=7), min_size=_HOSTS + 1, max_size=_HOSTS + 1)


async def test_haproxy_decides_as_the_policy_says(harness: Harness) -> None:
    """Hosts, paths, methods, headers and queries: the same route, or the same refusal with the same methods."""
    await harness.start(backend("a", *await harness.servers("a", 1)))
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(_TABLES, st.lists(_ASKED, min_size=300, max_size=300))
    def hold(tables: list[list[dict[str, Any]]], asked: list[Asked]) -> None:
        asyncio.run_coroutine_threadsafe(_compare(harness, tables, asked), loop).result(60)

    await asyncio.to_thread(hold)


async def _compare(harness: Harness, tables: list[list[dict[str, Any]]], asked: list[Asked]) -> None:
    routes = [_named(place, number, made) for place, each in enumerate(tables) for number, made in enumerate(each)]
    configuration = harness.configuration(backend("a"), routes=tuple(routes) or (Route("/*", "a"),))
    await harness.edge.apply(configuration)
    known = table(configuration)
    answers = await ask(harness.port, [(each.method, each.bytes()) for each in asked])
    for each, answer in zip(asked, answers, strict=True):
        path = canonical(each.path)
        if path is None:
            assert answer.status == 400, (each, answer)
            continue
        wanted = known.decide(Request(each.method, each.name, path, each.lines, each.query))
        assert _decided(answer) == (wanted.label, wanted.status, ", ".join(wanted.allow)), (each, wanted, answer)


def _named(place: int, number: int, made: dict[str, Any]) -> Route:
    """The last table is for any host; each route answers with its name."""
    name = f"r{place}-{number}"
    host = f"h{place}.localhost" if place < _HOSTS else None
    headers = {"x-route": name}
    return route(**made, host=host, name=name, static={"headers": headers})


def _decided(answer: Answer) -> tuple[str | None, int, str]:
    return answer.headers.get("x-route"), answer.status, answer.headers.get("allow", "")


