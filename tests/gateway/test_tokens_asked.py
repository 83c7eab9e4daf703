"""What the edge asks of the gateway service, and what is asked of authorization servers."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cloudlet.contracts.gateway import GatewayConfiguration
from cloudlet.contracts.guard import VERIFY
from cloudlet.errors import ProviderFailed
from cloudlet.gateway.response import Response
from cloudlet.gateway.server import Application
from cloudlet.gateway.tokens.claims import Principal, Rejected
from cloudlet.gateway.tokens.fetch import Fetcher
from cloudlet.gateway.tokens.install import install
from cloudlet.gateway.tokens.introspection import Introspection, Memory
from cloudlet.stack.identity import Identity, Jwt, Oauth

from .asking import ask, read
from .provider import Provider, good, key_set, named, signed

SECRET = "only the edge knows"
KEY = named("OKP", "Ed25519", "1")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = await Provider().start()
    made.answers["/keys"] = key_set(KEY)
    made.answers["/introspect"] = {"active": True, "sub": "ann", "scope": "a b", "exp": int(time.time()) + 60}
    yield made
    await made.stop()


def oauth(provider: Provider, **settings: Any) -> Oauth:
    address = f"{provider.address}/introspect"
    return Oauth(introspection=address, client_id="the gate", client_secret="s:cret/", **settings)


@pytest.fixture
async def application(provider: Provider) -> AsyncIterator[Application]:
    identity = Identity(
        jwt={"shop": Jwt(jwks=f"{provider.address}/keys", issuer="https://issuer")}, oauth={"partner": oauth(provider)}
    )
    made = Application(GatewayConfiguration(identity=identity, ask_secret=SECRET))
    install(made)
    await made.start()
    yield made
    await made.stop()


async def question(application: Application, secret: str = SECRET, **asked: Any) -> Response:
    return await ask(application, "POST", VERIFY, body=json.dumps(asked).encode(), secret=secret)


async def test_the_edge_asks_about_a_token(application: Application) -> None:
    """EdDSA with a key from the issuer's set: who it is, as what, until when."""
    claims = good(roles=["buyer"], scope="orders.read", tenant="7")
    answer = await question(application, kind="jwt", name="shop", token=signed(claims, KEY, "EdDSA", kid="1"))
    assert answer.status == 200 and answer.headers.get("cache-control") == "no-store"
    assert read(answer) == {
        "active": True,
        "user": "ann",
        "roles": ["buyer"],
        "scopes": ["orders.read"],
        "claims": claims,
        "expires": claims["exp"],
    }
    answer = await question(application, kind="jwt", name="shop", token=signed(good(exp=1), KEY, "EdDSA", kid="1"))
    assert (answer.status, read(answer)) == (200, {"active": False, "because": "expired"})


@pytest.mark.parametrize("secret", ["", "only the edge know", "only the edge knows ", "é\udcff"])
async def test_nobody_else_may_ask(application: Application, secret: str) -> None:
    """Without the edge's secret there is nothing here, whatever is asked."""
    token = signed(good(), KEY, "EdDSA")
    assert (await question(application, secret, kind="jwt", name="shop", token=token)).status == 404


async def test_without_a_secret_nobody_is_answered() -> None:
    """An empty secret of the configuration does not match an absent header."""
    application = Application(GatewayConfiguration())
    install(application)
    assert (await question(application, "", kind="jwt", name="shop", token="x")).status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"7",
        b"{}",
        b'{"kind":"jwt","name":"nobody","token":"x"}',
        b'{"kind":[],"name":"shop","token":"x"}',
        b'{"kind":"jwt","name":"shop","token":7}',
        b"[" * 50_000,
    ],
)
async def test_nonsense_is_no_question(application: Application, body: bytes) -> None:
    """It is answered by 400, not by a yes."""
    assert (await ask(application, "POST", VERIFY, body=body, secret=SECRET)).status == 400


async def test_a_question_is_bounded(application: Application) -> None:
    """A body larger than any token is refused; so is another method, and a longer path."""
    streamed = b'{"kind":"jwt","name":"shop","token":"' + b"x" * 60_000 + b'"}'
    answer = await ask(application, "POST", VERIFY, body=streamed, secret=SECRET)
    assert read(answer) == {"active": False, "because": "too-long"}
    assert (await ask(application, "GET", VERIFY, secret=SECRET)).status == 405
    assert (await ask(application, "POST", f"{VERIFY}/x", secret=SECRET)).status == 404


async def test_an_issuer_that_is_away_is_no_refusal(application: Application, provider: Provider) -> None:
    """Nobody can tell then: 503, so that the client may ask again and is not signed out."""
    provider.answers["/keys"] = (500, b"")
    token = signed(good(), KEY, "EdDSA", kid="1")
    answer = await question(application, kind="jwt", name="shop", token=token)
    assert (answer.status, answer.headers.get("retry-after")) == (503, "5")


async def test_opaque_tokens(application: Application, provider: Provider) -> None:
    """The server is asked as RFC 7662 says: a form, credentials in the header; the second time nobody is asked."""
    for _ in range(3):
        answer = await question(application, kind="oauth", name="partner", token="opaque")
        assert (read(answer)["user"], read(answer)["scopes"]) == ("ann", ["a", "b"])
    ((_, form, headers),) = provider.asked
    assert form == {"token": "opaque", "token_type_hint": "access_token"}
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"the%20gate:s%3Acret%2F"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"active": False}, "inactive"),
        ({"active": "true", "sub": "ann"}, "inactive"),
        ({}, "inactive"),
        ({"active": True, "sub": "ann", "exp": 1}, "expired"),
        ({"active": True, "sub": "ann", "nbf": 4e9}, "not-yet"),
        ({"active": True}, "no-user"),
    ],
)
async def test_answers_that_are_no_yes(application: Application, provider: Provider, answer: Any, reason: str) -> None:
    """Only `active: true` of a token in its time is one; the no is remembered too."""
    provider.answers["/introspect"] = answer
    for _ in range(2):
        found = await question(application, kind="oauth", name="partner", token="opaque")
        assert read(found) == {"active": False, "because": reason}
    assert len(provider.asked) == 1


async def test_one_question_for_many_askers(provider: Provider) -> None:
    """A hundred requests with one new token ask its server once, also when the first asker leaves."""
    fetcher = Fetcher()
    partner = Introspection("partner", oauth(provider), fetcher)
    provider.go_on.clear()
    first, *others = [asyncio.create_task(partner.check("opaque")) for _ in range(100)]
    while not provider.asked:
        await asyncio.sleep(0.001)
    first.cancel()
    provider.go_on.set()
    assert {who.user for who in await asyncio.gather(*others)} == {"ann"}
    assert len(provider.asked) == 1
    await fetcher.close()


async def test_answers_end_with_the_cache_or_the_token(provider: Provider) -> None:
    """Whichever is sooner."""
    fetcher, now = Fetcher(), 1000.0
    partner = Introspection("partner", oauth(provider, cache=30.0), fetcher, lambda: now)
    for expires, after in ((1010, 10), (1e9, 30)):
        provider.answers["/introspect"] = {"active": True, "sub": "ann", "exp": expires}
        provider.asked.clear()
        now = 1000.0
        token = f"until-{expires}"
        await partner.check(token)
        now += after - 1
        await partner.check(token)
        assert len(provider.asked) == 1
        now += 1
        if expires == 1010:
            with pytest.raises(Rejected, match="expired"):
                await partner.check(token)
        else:
            await partner.check(token)
        assert len(provider.asked) == 2
    await fetcher.close()


async def test_a_server_that_refuses_us_is_told_apart(provider: Provider) -> None:
    """Wrong client credentials are the operator's mistake, not the client's; nothing is remembered."""
    fetcher = Fetcher()
    partner = Introspection("partner", oauth(provider), fetcher)
    provider.answers["/introspect"] = (401, b'{"error":"invalid_client"}')
    with pytest.raises(ProviderFailed, match=r"identity\.oauth\.partner: .* answered 401; check client_id"):
        await partner.check("opaque")
    provider.answers["/introspect"] = {"active": True, "sub": "ann"}
    assert (await partner.check("opaque")).user == "ann"
    await fetcher.close()


def test_the_memory_is_bounded() -> None:
    """The answer that was not used for longest goes."""
    memory = Memory(2)
    for name in (b"a", b"b"):
        memory.put(name, Principal(name.decode()), 10.0)
    assert memory.get(b"a", 0.0)
    memory.put(b"c", Principal("c"), 10.0)
    assert [memory.get(name, 0.0) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    assert memory.get(b"a", 10.0) is None
