"""The token endpoint: client credentials with API keys, and the key set that verifies what it gave."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk

from cloudlet.contracts.gateway import GatewayConfiguration
from cloudlet.contracts.guard import VERIFY
from cloudlet.gateway.server import Application
from cloudlet.gateway.tokens.attempts import Attempts
from cloudlet.gateway.tokens.grant import GrantError
from cloudlet.gateway.tokens.grant import read as read_grant
from cloudlet.gateway.tokens.install import install
from cloudlet.gateway.tokens.jwt import Unverified
from cloudlet.gateway.tokens.keys import of_set
from cloudlet.stack.identity import Identity, Issue, Jwt

from .asking import ask, post_form, read
from .provider import private_pem

KEY, TOKEN = "ck_the_key_itself", "/oauth/token"
PEM = private_pem(jwk.generate_key("EC", "P-256"))
GRANT = {"grant_type": "client_credentials", "client_id": "ann-laptop", "client_secret": KEY}
CLIENT = {"x-forwarded-for": "203.0.113.7"}


def write(file: Path, *records: dict[str, Any]) -> None:
    """As control does it: replaced at once."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(records))
    os.replace(new, file)


def record(key: str = KEY, **changes: Any) -> dict[str, Any]:
    usual = {"id": "ann-laptop", "user": "ann", "roles": ["buyer"], "scopes": ["orders.read", "orders.write"]}
    return {"hash": hashlib.sha256(key.encode()).hexdigest(), **usual, **changes}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    write(tmp_path / "keys.json", record())
    return tmp_path / "keys.json"


@pytest.fixture
async def application(keys: Path) -> AsyncIterator[Application]:
    identity = Identity(jwt={"shop": Jwt(issue=Issue(), audience="orders")})
    made = Application(GatewayConfiguration(identity=identity, issuing_key=PEM, api_keys=keys, ask_secret="ask"))
    install(made)
    await made.start()
    yield made
    await made.stop()


async def claims_of(application: Application, token: str) -> dict[str, Any]:
    """As any service reads them, by the published key set."""
    answer = await ask(application, "GET", "/.cloudlet/keys/shop")
    assert answer.headers.get("cache-control") == "public, max-age=300"
    return Unverified(token).verified(of_set(read(answer)), ("ES256",))


async def test_a_key_becomes_a_token(application: Application) -> None:
    """By form or by header; the token says what the key may, and the edge's question is answered by yes."""
    answer = await post_form(application, TOKEN, GRANT)
    assert answer.status == 200 and answer.headers.get("cache-control") == "no-store"
    given = read(answer)
    assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", 600, "orders.read orders.write")
    claims = await claims_of(application, given["access_token"])
    assert claims["exp"] - claims["iat"] == 600 and len(claims.pop("jti")) >= 16
    assert {name: claims[name] for name in claims if name not in ("iat", "exp")} == {
        "iss": "cloudlet:shop",
        "aud": "orders",
        "sub": "ann",
        "client_id": "ann-laptop",
        "roles": ["buyer"],
        "scope": "orders.read orders.write",
    }
    question = json.dumps({"kind": "jwt", "name": "shop", "token": given["access_token"]}).encode()
    assert read(await ask(application, "POST", VERIFY, body=question, secret="ask"))["user"] == "ann"
    basic = base64.b64encode(f"ann-laptop:{KEY}".encode()).decode()
    by_header = {"grant_type": "client_credentials", "scope": "orders.read"}
    answer = await post_form(application, TOKEN, by_header, {"authorization": f"Basic {basic}"})
    assert (answer.status, read(answer)["scope"]) == (200, "orders.read")


async def test_the_private_half_is_not_published(application: Application) -> None:
    """Nor is anything under another name."""
    (key,) = read(await ask(application, "GET", "/.cloudlet/keys/shop"))["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (await ask(application, "GET", "/.cloudlet/keys/other")).status == 404
    assert (await ask(application, "POST", "/.cloudlet/keys/shop")).status == 405


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"scope": "orders.read admin"}, 400, "invalid_scope"),
        ({"scope": 'a"b'}, 400, "invalid_scope"),
        ({"client_secret": "ck_another"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "somebody-else"}, 401, "invalid_client"),
        ({"client_id": ""}, 401, "invalid_client"),
    ],
)
async def test_refusals(application: Application, changes: dict[str, str], status: int, error: str) -> None:
    """Each says its word of RFC 6749, 5.2; one of 401 says how to show credentials."""
    answer = await post_form(application, TOKEN, GRANT | changes)
    assert (answer.status, read(answer)["error"]) == (status, error)
    assert answer.headers.get("cache-control") == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert KEY.encode() not in answer.body


async def test_what_is_no_form(application: Application) -> None:
    """JSON, a field twice, credentials twice, another method, a longer path, a body without end."""
    answer = await ask(application, "POST", TOKEN, {"content-type": "application/json"}, json.dumps(GRANT).encode())
    assert (answer.status, read(answer)["error"]) == (400, "invalid_request")
    form = {"content-type": "application/x-www-form-urlencoded"}
    twice = b"grant_type=client_credentials&scope=a&scope=b&client_id=x&client_secret=y"
    assert read(await ask(application, "POST", TOKEN, form, twice))["error"] == "invalid_request"
    basic = {"authorization": "Basic " + base64.b64encode(b"a:b").decode()}
    assert read(await post_form(application, TOKEN, GRANT, basic))["error"] == "invalid_request"
    bearer = {"authorization": "Bearer abc"}
    assert read(await post_form(application, TOKEN, {"grant_type": "client_credentials"}, bearer))["error"] == (
        "invalid_client"
    )
    assert (await ask(application, "GET", TOKEN)).status == 405
    assert (await post_form(application, f"{TOKEN}s", GRANT)).status == 404


async def test_expired_and_revoked_keys(application: Application, keys: Path) -> None:
    """The file is read again when it changes; one that cannot be read changes nothing."""
    assert (await post_form(application, TOKEN, GRANT)).status == 200
    write(keys, record(expires=1000.0))
    assert (await post_form(application, TOKEN, GRANT)).status == 401
    write(keys, record("ck_rotated"))
    assert (await post_form(application, TOKEN, GRANT)).status == 401
    assert (await post_form(application, TOKEN, GRANT | {"client_secret": "ck_rotated"})).status == 200
    keys.write_text("{")
    assert (await post_form(application, TOKEN, GRANT | {"client_secret": "ck_rotated"})).status == 200
    write(keys)
    assert (await post_form(application, TOKEN, GRANT | {"client_secret": "ck_rotated"})).status == 401


async def test_no_token_outlives_its_key(application: Application, keys: Path) -> None:
    """A key that ends in a minute gives tokens for a minute."""
    import time

    write(keys, record(expires=time.time() + 60))
    assert 58 <= read(await post_form(application, TOKEN, GRANT))["expires_in"] <= 60


async def test_guessing_is_slowed(application: Application) -> None:
    """After ten failures of one client its next attempts are not looked at; another client is not concerned."""
    wrong = GRANT | {"client_secret": "guess"}
    statuses = [(await post_form(application, TOKEN, wrong, CLIENT)).status for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    answer = await post_form(application, TOKEN, GRANT, CLIENT)
    assert answer.status == 429 and 1 <= int(answer.headers.get("retry-after")) <= 6
    assert (await post_form(application, TOKEN, GRANT, {"x-forwarded-for": "203.0.113.8"})).status == 200


def test_attempts_come_back() -> None:
    """One in five seconds, never more than ten; what is remembered is bounded."""
    attempts = Attempts(most=2)
    for _ in range(10):
        assert attempts.wait("a", 0.0) == 0
        attempts.failed("a", 0.0)
    assert attempts.wait("a", 0.0) == pytest.approx(5)
    assert attempts.wait("a", 5.0) == 0
    attempts.failed("a", 5.0)
    assert attempts.wait("a", 6.0) == pytest.approx(4)
    for name in ("b", "c"):
        attempts.failed(name, 6.0)
    assert attempts.wait("a", 6.0) == 0


async def test_a_new_signing_key_keeps_the_old_ones_tokens_good(keys: Path) -> None:
    """Both are published while the old one's tokens live; the new one signs."""
    identity = Identity(jwt={"shop": Jwt(issue=Issue(), roles="realm.roles")})
    before = Application(GatewayConfiguration(identity=identity, issuing_key=PEM, api_keys=keys))
    install(before)
    old = read(await post_form(before, TOKEN, GRANT))["access_token"]
    both = private_pem(jwk.generate_key("EC", "P-256")) + PEM
    after = Application(GatewayConfiguration(identity=identity, issuing_key=both, api_keys=keys))
    install(after)
    new = read(await post_form(after, TOKEN, GRANT))["access_token"]
    for token in (old, new):
        assert (await claims_of(after, token))["realm"] == {"roles": ["buyer"]}
    assert Unverified(old).kid != Unverified(new).kid


@given(st.binary(max_size=200), st.text(max_size=60))
def test_no_body_breaks_the_parser(body: bytes, authorization: str) -> None:
    """Whatever is sent is either a grant or an error of RFC 6749."""
    try:
        read_grant("application/x-www-form-urlencoded", body, authorization)
    except GrantError as error:
        assert error.code in {"invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"}
