"""Rate limits that Valkey counts: the script against its twins, and through real edges."""

from __future__ import annotations

import asyncio
import itertools
import stat
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudlet.contracts.paths import StatePaths
from cloudlet.policy.limits import ALGORITHMS, Quota, decide_all

from .conftest import Harness
from .limit_store import Store
from .limits import Limited, limit, limited, passed

_BEGIN = 1_795_000_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = await Store(tmp_path).start()
    yield made
    made.end()


@pytest.fixture
def edge(harness: Harness) -> Limited:
    return Limited(harness)


@pytest.fixture
async def second(tmp_path: Path) -> AsyncIterator[Limited]:
    """Another edge beside the first one."""
    made = await Harness(StatePaths(tmp_path / "second" / ".cloudlet")).open()
    yield Limited(made)
    await made.close()


quotas = st.builds(
    Quota,
    st.sampled_from([1, 2, 3, 7, 50]),
    st.sampled_from([1_000_000, 60_000_000, 3_600_000_000]),
    st.integers(1, 6),
)
stacks = st.lists(st.tuples(st.sampled_from(sorted(ALGORITHMS)), quotas), min_size=1, max_size=3)
#: the beginnings, ends and odd fractions of intervals and windows
steps = st.one_of(
    st.sampled_from([0, 1, 999, 1000, 142_857, 142_858, 999_999, 1_000_000, 60_000_000, 3_600_000_000]),
    st.integers(0, 2_000_000),
)


async def test_the_script_decides_as_its_twins(store: Store) -> None:
    """Every number of every answer, for stacks of limits at made-up times."""
    client, numbers = store.client(), itertools.count()
    script = client.register_script(files("cloudlet.edge.limits").joinpath("count.lua").read_text())

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(stacks, st.lists(steps, min_size=1, max_size=40))
    def holds(limits: list[tuple[str, Quota]], waits: list[int]) -> None:
        run, now = next(numbers), _BEGIN
        states = [ALGORITHMS[name].begin() for name, _ in limits]
        arguments = [word for name, quota in limits for word in _words(name, quota)]
        for wait in waits:
            now += wait
            refused, decisions, states = decide_all(limits, states, now)
            answer = script(keys=[f"{run}:{n}" for n in range(len(limits))], args=[now, *arguments])
            assert answer[0] == (0 if refused is None else refused + 1)
            for place, decision in enumerate(decisions):
                found = answer[4 * place + 1 : 4 * place + 5]
                if refused is None or not decision.allowed:
                    assert found == [decision.remaining, decision.retry_after, decision.reset, decision.delay]
                else:
                    assert found[0] == decision.remaining + 1, "it would have passed, and took nothing"

    holds()
    client.close()


def _words(name: str, quota: Quota) -> tuple[object, ...]:
    return name, quota.burst if name.endswith("bucket") else int(quota.count), quota.per, *quota.pace


@pytest.mark.parametrize("algorithm", ["fixed-window", "sliding-log", "sliding-counter", "token-bucket"])
async def test_two_edges_share_one_count(edge: Limited, second: Limited, store: Store, algorithm: str) -> None:
    """Under load on both at once exactly the limit passes: the error is 0."""
    rate = "1/h" if algorithm == "token-bucket" else "200/h"
    routes = (limited("/*", limit(algorithm, rate, "global", 200 if algorithm == "token-bucket" else None)),)
    await edge.start(*routes, store=store.place(), replicas=2)
    await second.start(*routes, store=store.place(), replicas=2)
    answers = await asyncio.gather(edge.burst(300, at_once=16), second.burst(300, at_once=16))
    assert passed(answers[0]) + passed(answers[1]) == 200
    assert min(passed(part) for part in answers) > 0
    assert "x-ratelimit-remaining" in answers[0][0].headers


async def test_two_edges_share_one_queue(edge: Limited, second: Limited, store: Store) -> None:
    """A leaky bucket's requests leave 50 ms apart, whichever edge they came by."""
    routes = (limited("/*", limit("leaky-bucket", "20/s", "global", 6)),)
    await edge.start(*routes, store=store.place(), replicas=2)
    await second.start(*routes, store=store.place(), replicas=2)
    both = await asyncio.gather(edge.burst(6, at_once=6), second.burst(6, at_once=6))
    out = sorted(answer.ended for answer in (*both[0], *both[1]) if answer.allowed)
    assert len(out) >= 7
    for number, ended in enumerate(out[1:7], 1):
        assert ended - out[0] >= number * 0.05 - 0.02


async def test_a_sliding_log_is_exact(edge: Limited, store: Store) -> None:
    """One edge counts it in Valkey beside what stick tables count; no span of a second sees more than five."""
    routes = (limited("/*", limit("sliding-log", "5/s"), limit("fixed-window", "1000/d", "global")),)
    await edge.start(*routes, store=store.place())
    answers = []
    while len(answers) < 2 or answers[-1].ended - answers[0].began < 2.3:
        answers.append(await edge.get())
        await asyncio.sleep(0.03)
    out = [answer for answer in answers if answer.allowed]
    assert len(out) >= 10
    for first, sixth in itertools.pairwise(out[::5]):
        assert sixth.ended - first.began >= 1.0
    refused = next(answer for answer in answers if not answer.allowed)
    assert refused.headers["retry-after"] == "1"
    left = int(refused.headers["ratelimit"].split('"global-1000/d";r=')[1].split(";")[0])
    assert left >= 1000 - len(out), "what the log refuses takes nothing here"


async def test_requests_pass_while_the_store_is_away(edge: Limited, store: Store) -> None:
    """Open rather than closed, and said in the log; counted again when it is back."""
    await edge.start(limited("/*", limit("sliding-log", "3/h")), store=store.place())
    assert passed(await edge.burst(5)) == 3
    store.end()
    assert passed(await edge.burst(5)) == 5
    assert "requests pass uncounted" in edge.harness.paths.log("edge").read_text()
    await store.start()
    async with asyncio.timeout(5):
        while (await edge.get()).allowed:
            await asyncio.sleep(0.02)


async def test_the_stores_password_is_private(edge: Limited, store: Store) -> None:
    """It stands in a file that others may not read, and in none of HAProxy's own configuration."""
    place = store.place()
    await edge.start(limited("/*", limit("sliding-log", "3/h")), store=place)
    assert place.password not in edge.harness.edge.configuration_text()
    holding = [
        file for file in edge.harness.paths.edge.rglob("*") if file.is_file() and place.password in file.read_text()
    ]
    assert holding
    assert not any(file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH) for file in holding)
