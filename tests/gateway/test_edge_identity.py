"""The whole way of tokens and sessions: edge, guard, gateway service, and a provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from joserfc import jwk

from cloudlet.contracts.gateway import OWN_PATHS, GatewayConfiguration
from cloudlet.contracts.guard import Guard, JwtIssuer, KeyRecord, VerificationKey
from cloudlet.stack.identity import Identity, Issue, Jwt, Oauth, Oidc
from tests.edge.conftest import Harness, harness  # noqa: F401  (a fixture)

from .front import Front, designed
from .oidc import CLIENT, SECRET, OpenIdProvider
from .provider import Provider, good, key_set, named, private_pem, public_pem, signed
from .test_signin import at_provider

SESSIONS, ASKING = "the key of sessions, which the edge has too", "only the edge knows"
ROUTER = designed("/buy/*", "a", require={"jwt": ["partner", "shop"], "oauth": "tokens", "oidc": "staff"})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = await Provider().start()
    yield made
    await made.stop()


@pytest.fixture
async def openid() -> AsyncIterator[OpenIdProvider]:
    made = await OpenIdProvider().start()
    yield made
    await made.stop()


class World:
    """Everything about it: an EdDSA issuer, opaque tokens, tokens of our own, and sign-in."""

    def __init__(self) -> None:
        self.eddsa = named("OKP", "Ed25519", "1")
        self.issuing = jwk.generate_key("EC", "P-256")
        self.key = "clk_1_secret"


@pytest.fixture
async def world(
    harness: Harness,  # noqa: F811
    tmp_path: Path,
    provider: Provider,
    openid: OpenIdProvider,
) -> AsyncIterator[tuple[World, Front]]:
    made, front = World(), Front(harness, tmp_path)
    provider.answers["/keys"] = key_set(made.eddsa)
    provider.answers["/introspect"] = {"active": True, "sub": "bob", "scope": "orders"}
    await harness.upstream("a-1")
    await harness.upstream("a-2")
    record = KeyRecord("1", hashlib.sha256(made.key.encode()).hexdigest(), "carol", ("buyer",), ("orders",))
    (tmp_path / "keys.json").write_text(json.dumps([{name: getattr(record, name) for name in KeyRecord.__slots__}]))
    identity = Identity(
        jwt={"partner": Jwt(jwks=f"{provider.address}/keys", issuer="https://issuer"), "shop": Jwt(issue=Issue())},
        oauth={"tokens": Oauth(introspection=f"{provider.address}/introspect", client_id="x", client_secret="y")},
        oidc={"staff": Oidc(issuer=openid.issuer, client_id=CLIENT, client_secret=SECRET)},
    )
    configuration = GatewayConfiguration(
        identity=identity,
        session_key=SESSIONS,
        issuing_key=private_pem(made.issuing),
        ask_secret=ASKING,
        api_keys=tmp_path / "keys.json",
    )
    ours = VerificationKey(("ES256",), pem=public_pem(made.issuing).decode())
    guard = Guard(
        jwt={"partner": JwtIssuer("https://issuer", asks=True), "shop": JwtIssuer("cloudlet:shop", keys=(ours,))},
        oauth={"tokens": 30.0},
        oidc=("staff",),
        session_key=SESSIONS,
        ask_secret=ASKING,
    )
    own = tuple(designed(path) for path in (f"{OWN_PATHS}signin/*", f"{OWN_PATHS}signout/*", "/oauth/token"))
    await front.start(configuration, (ROUTER, *own), guard=guard)
    yield made, front
    await front.stop()


async def user(front: Front, **headers: str) -> tuple[int, str]:
    """The status, and who the service was told is asking."""
    async with front.harness.client.get("/buy/x", headers=headers, allow_redirects=False) as answer:
        seen = dict((await answer.json()).get("headers", [])) if answer.status == 200 else {}
        return answer.status, seen.get("x-forwarded-user", "")


async def test_tokens_that_the_edge_asks_about(world: tuple[World, Front], provider: Provider) -> None:
    """EdDSA and opaque tokens, through the edge's own question; a forged one is refused."""
    made, front = world
    token = signed(good(), made.eddsa, "EdDSA", kid="1")
    assert await user(front, Authorization=f"Bearer {token}") == (200, "ann")
    assert await user(front, Authorization="Bearer opaque") == (200, "bob")
    provider.answers["/introspect"] = {"active": False}
    forged = signed(good(sub="root"), named("OKP", "Ed25519", "1"), "EdDSA", kid="1")
    assert await user(front, Authorization=f"Bearer {forged}") == (401, "")
    assert await user(front, Authorization="Bearer another") == (401, "")


async def test_a_token_of_our_own(world: tuple[World, Front]) -> None:
    """A key becomes a token at the gateway, and the edge takes it by itself."""
    made, front = world
    form = {"grant_type": "client_credentials", "client_id": "1", "client_secret": made.key}
    async with front.harness.client.post("/oauth/token", data=form) as answer:
        assert answer.status == 200, await answer.text()
        token = (await answer.json())["access_token"]
    assert await user(front, Authorization=f"Bearer {token}") == (200, "carol")
    async with front.harness.client.post("/oauth/token", data=form | {"client_secret": "guess"}) as answer:
        assert answer.status == 401


async def test_a_browser_signs_in(world: tuple[World, Front]) -> None:
    """From a page that needs it, to the provider and back; the edge knows the session, and nobody can make one."""
    _, front = world
    client = front.harness.client
    async with client.get("/buy/x?a=1", headers={"Accept": "text/html"}, allow_redirects=False) as answer:
        assert answer.status == 302
        begin = answer.headers["Location"]
    async with client.get(begin, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        attempt = answer.headers["Set-Cookie"].partition(";")[0]
        redirect = answer.headers["Location"]
    back = await at_provider(redirect, urlsplit(str(client._base_url)).netloc)
    async with client.get(back, headers={"Cookie": attempt}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/buy/x?a=1")
        session = next(line for line in answer.headers.getall("Set-Cookie") if line.startswith("cloudlet-staff="))
    assert await user(front, Cookie=session.partition(";")[0]) == (200, "user-7")
    claims = {"iss": "cloudlet:staff", "sub": "root", "roles": ["admin"], "exp": 4e9}
    forged = signed(claims, jwk.OctKey.import_key("another key that is as long as it must be"), "HS256")
    assert (await user(front, Cookie=f"cloudlet-staff={forged}"))[0] == 401
