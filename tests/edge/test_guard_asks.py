"""What the edge asks of cloudlet's gateway service, by a small stand-in for it: the other half has tests of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from cloudlet.contracts.guard import VERIFY, Guard

from . import tokens
from .conftest import Harness
from .guarding import bearer, guard, issuer, route

SECRET = "what only the edge says"


class Verifier:
    """Answers as it is told, by token, and records what it was asked."""

    def __init__(self) -> None:
        self.questions: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self.at_once = self.most_at_once = 0

    async def start(self) -> Verifier:
        application = web.Application()
        application.router.add_post(VERIFY, self._verify)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def stop(self) -> None:
        self.hold.set()
        await self._runner.cleanup()

    async def _verify(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        question = await request.json()
        self.questions.append(question)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.hold.wait()
        finally:
            self.at_once -= 1
        answer = self.answers.get(question["token"], {"active": False, "because": "inactive"})
        return web.Response(status=500) if answer is None else web.json_response(answer)


@pytest.fixture
async def verifier() -> AsyncIterator[Verifier]:
    made = await Verifier().start()
    yield made
    await made.stop()


def person(**changes: Any) -> dict[str, Any]:
    said = {"active": True, "user": "dora", "roles": ["buyer"], "scopes": ["read"], "claims": {"sub": "dora", "n": [1]}}
    return {**said, "expires": time.time() + 600, **changes}


def opaque(verifier: Verifier, cache: float = 30.0) -> Guard:
    return Guard(oauth={"tokens": cache}, ask=verifier.address, ask_secret=SECRET)


OPAQUE = route("/*", {"oauth": "tokens"})


async def test_an_opaque_token_is_asked_for_and_remembered(harness: Harness, verifier: Verifier) -> None:
    """Who it is comes from the answer; each thread asks once while that counts."""
    verifier.answers["good"] = person()
    await guard(harness, opaque(verifier), OPAQUE)
    for _ in range(20):
        answer = await bearer(harness, "good")
        assert answer.seen["x-forwarded-user"] == ["dora"] and answer.seen["x-forwarded-roles"] == ["buyer"]
        assert answer.seen["x-forwarded-scopes"] == ["read"]
    assert 1 <= len(verifier.questions) <= 2
    assert verifier.questions[0] == {"kind": "oauth", "name": "tokens", "token": "good"}
    claims = answer.seen["x-forwarded-claims"][0]
    assert json.loads(base64.urlsafe_b64decode(claims + "===")) == {"sub": "dora", "n": [1]}


async def test_an_inactive_or_odd_token_is_401(harness: Harness, verifier: Verifier) -> None:
    """Also one with quotes in it, and one that the answer names nobody for."""
    verifier.answers |= {"nobody": person(user=None), "truthy": person(active="yes"), "line": person(user="a\r\nb: c")}
    await guard(harness, opaque(verifier), OPAQUE)
    for token in ("bad", '"},{"', "a\\u0000", "nobody", "line"):
        assert (await bearer(harness, token)).status == 401, token
    assert (await bearer(harness, "truthy")).status == 503
    assert (await bearer(harness, "x" * 9000)).status == 401
    assert {question["token"] for question in verifier.questions} <= {
        "bad",
        '"},{"',
        "a\\u0000",
        "nobody",
        "line",
        "truthy",
    }


async def test_a_token_ends_with_its_answer(harness: Harness, verifier: Verifier) -> None:
    """The shorter of `cache` and the token's own expiry: then it is asked for again."""
    verifier.answers |= {"short": person(expires=time.time() + 0.5), "cached": person()}
    await guard(harness, opaque(verifier, cache=0.3), OPAQUE)
    assert (await bearer(harness, "short")).status == 200
    assert (await bearer(harness, "cached")).status == 200
    verifier.answers.clear()
    for token in ("short", "cached"):
        async with asyncio.timeout(5):
            while (await bearer(harness, token)).status == 200:
                pass


async def test_what_cannot_be_found_out_is_503(harness: Harness, verifier: Verifier) -> None:
    """A broken answer is nobody's fault who asked, and nothing is remembered of it; nobody is let in."""
    verifier.answers["good"] = None
    await guard(harness, opaque(verifier), OPAQUE)
    answer = await bearer(harness, "good")
    assert answer.status == 503 and answer.headers["retry-after"] == ["1"] and "www-authenticate" not in answer.headers
    verifier.answers["good"] = person()
    assert (await bearer(harness, "good")).status == 200
    await verifier.stop()
    assert (await bearer(harness, "other")).status == 503
    assert (await bearer(harness, "good")).status in (200, 503)
    await guard(harness, Guard(oauth={"tokens": 1.0}), OPAQUE)
    assert (await bearer(harness, "good")).status == 401


async def test_questions_at_once_are_bounded_and_shared(harness: Harness, verifier: Verifier) -> None:
    """Requests with one token ask once a thread; of many tokens 64 a thread are asked for, the rest get 503 at once."""
    verifier.hold.clear()
    verifier.answers |= {f"t{n}": person() for n in range(75)}
    await guard(harness, opaque(verifier), OPAQUE, threads=1)
    same = [asyncio.create_task(bearer(harness, "t0")) for _ in range(10)]
    others = [asyncio.create_task(bearer(harness, f"t{n}")) for n in range(75)]
    async with asyncio.timeout(10):
        while verifier.at_once < 64 or sum(task.done() for task in others) < 11:
            await asyncio.sleep(0.01)
    refused = [task.result().status for task in others if task.done()]
    verifier.hold.set()
    assert refused == [503] * 11 and verifier.most_at_once == 64
    assert sorted({answer.status for answer in await asyncio.gather(*others)}) == [200, 503]
    assert {answer.status for answer in await asyncio.gather(*same)} == {200}
    assert sum(question["token"] == "t0" for question in verifier.questions) == 1


async def test_a_client_that_leaves_breaks_nothing(harness: Harness, verifier: Verifier) -> None:
    """The question goes on without it, and others with the same token get its answer."""
    verifier.hold.clear()
    verifier.answers["good"] = person()
    await guard(harness, opaque(verifier), OPAQUE)
    leaving = asyncio.create_task(bearer(harness, "good"))
    async with asyncio.timeout(5):
        while not verifier.at_once:
            await asyncio.sleep(0.01)
    leaving.cancel()
    staying = [asyncio.create_task(bearer(harness, "good")) for _ in range(4)]
    await asyncio.gather(leaving, return_exceptions=True)
    verifier.hold.set()
    assert [answer.status for answer in await asyncio.gather(*staying)] == [200] * 4


async def test_a_new_key_counts_at_once(harness: Harness, verifier: Verifier) -> None:
    """A signature by a key that the edge does not know yet is asked for, EdDSA too; HS and a known key never are."""
    keys = (tokens.key("RS256", "old"), tokens.key("HS256"))
    given = Guard(jwt={"shop": issuer(*keys, asks=True)}, ask=verifier.address, ask_secret=SECRET)
    await guard(harness, given, route("/*", {"jwt": "shop"}))
    new = tokens.token("RS256", tokens.OTHER, header={"kid": "new"})
    verifier.answers[new] = person()
    assert (await bearer(harness, new)).seen["x-forwarded-user"] == ["dora"]
    edwards = f"{tokens.encoded({'alg': 'EdDSA'})}.{tokens.encoded(tokens.claims())}.{tokens.encoded(b's' * 64)}"
    verifier.answers[edwards] = person()
    assert (await bearer(harness, edwards)).status == 200
    assert {(question["kind"], question["name"]) for question in verifier.questions} == {("jwt", "shop")}
    asked = len(verifier.questions)
    forged = tokens.token("RS256", tokens.OTHER, header={"kid": "old"})
    for token in (forged, tokens.unsigned("none"), tokens.token("HS512"), tokens.token("RS256", header={"kid": "old"})):
        verifier.answers[token] = person()
        await bearer(harness, token)
    assert (await bearer(harness, forged)).status == 401
    assert len(verifier.questions) == asked
