"""Signed tokens at the real edge: the good ones pass with their claims, the hostile ones are named and refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest

from cloudlet.contracts.guard import Guard

from . import raw, tokens
from .conftest import Harness
from .guarding import ask, bearer, guard, issuer, route

SHOP = route("/*", {"jwt": "shop"})
ALL = ("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")


async def test_every_algorithm_passes_with_its_identity(harness: Harness) -> None:
    """User, roles, scopes and claims reach the service, whatever the token is signed by; the token stays."""
    await guard(harness, Guard(jwt={"shop": issuer(*map(tokens.key, ALL))}), SHOP)
    for algorithm in ALL:
        token = tokens.token(algorithm, roles=["buyer", "admin"], scope="read write")
        answer = await bearer(harness, token)
        assert answer.status == 200, algorithm
        assert answer.seen["x-forwarded-user"] == ["alice"]
        assert answer.seen["x-forwarded-roles"] == ["buyer,admin"]
        assert answer.seen["x-forwarded-scopes"] == ["read write"]
        claims = answer.seen["x-forwarded-claims"][0]
        assert json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"] == "alice"
        assert answer.seen["authorization"] == [f"Bearer {token}"]


async def test_nothing_is_401_with_a_challenge(harness: Harness) -> None:
    """Who shows nothing learns what to show; an open route beside it takes everybody."""
    await guard(harness, Guard(jwt={"shop": issuer()}), route("/open/*"), SHOP)
    answer = await ask(harness)
    assert answer.status == 401 and answer.headers["www-authenticate"] == ['Bearer realm="shop"']
    assert answer.headers["content-type"] == ["application/problem+json"] and answer.body["status"] == 401
    assert (await ask(harness, "/open/x")).status == 200
    assert (await bearer(harness, "x.y.z", "/open/x")).status == 200


def _signed_by_public_key() -> str:
    """HS256, the public key's text as its secret (CVE-2015-9235)."""
    text = f"{tokens.encoded({'alg': 'HS256'})}.{tokens.encoded(tokens.claims())}"
    signature = hmac.new(tokens.pem(tokens.RSA).encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{tokens.encoded(signature)}"


def _tampered(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{tokens.encoded(tokens.claims(sub='root'))}.{signature}"


def _now(**changes: object) -> str:
    return tokens.token("RS256", **changes)


HOSTILE = {
    "none": (lambda: tokens.unsigned("none"), "signature"),
    "None": (lambda: tokens.unsigned("None") + "eA", "algorithm"),
    "the public key as a secret": (_signed_by_public_key, "algorithm"),
    "another issuer's key": (lambda: tokens.token("RS256", tokens.OTHER), "signature"),
    "an algorithm that is not allowed": (lambda: tokens.token("RS512"), "algorithm"),
    "tampered": (lambda: _tampered(_now()), "signature"),
    "wrong issuer": (lambda: _now(iss="https://evil.test"), "issuer"),
    "no issuer": (lambda: _now(iss=None), "issuer"),
    "wrong audience": (lambda: _now(aud="other"), "audience"),
    "other audiences": (lambda: _now(aud=["other", "shops"]), "audience"),
    "no audience": (lambda: _now(aud=None), "audience"),
    "expired": (lambda: _now(exp=int(time.time()) - 1), "expired"),
    "for ever": (lambda: _now(exp=None), "no-expiry"),
    "expiry as text": (lambda: _now(exp="9999999999"), "malformed"),
    "expiry beyond numbers": (lambda: _now(exp=1e300), "malformed"),
    "not yet": (lambda: _now(nbf=int(time.time()) + 60), "not-yet"),
    "issued tomorrow": (lambda: _now(iat=int(time.time()) + 86400), "not-yet"),
    "no user": (lambda: _now(sub=None), "no-user"),
    "a user with a line end": (lambda: _now(sub="alice\r\nX-Admin: 1"), "no-user"),
    "a user whom a header would take for another": (lambda: _now(sub="alice "), "no-user"),
    "truncated": (lambda: _now()[:-20], "signature"),
    "no signature": (lambda: _now().rpartition(".")[0] + ".", "signature"),
    "two parts": (lambda: _now().rpartition(".")[0], "malformed"),
    "five parts": (lambda: "a.b.c.d.e", "malformed"),
    "no base64": (lambda: "!!.??.--", "malformed"),
    "a header that is no JSON": (lambda: f"{tokens.encoded(b'{alg')}.e30.eA", "malformed"),
    "a critical extension": (lambda: tokens.odd({"x": 1, "crit": ["x"]}), "malformed"),
    "huge": (lambda: _now(filler="x" * 9000), "too-long"),
    "wrong kid": (lambda: tokens.token("RS256", header={"kid": "../../etc/passwd"}), "unknown-key"),
    "kid that is no text": (lambda: tokens.odd({"kid": 7}), "malformed"),
}


async def test_hostile_tokens_are_refused(harness: Harness) -> None:
    """Each by its own reason; nothing of the token is said back, and the service sees none of them."""
    keys = (tokens.key("RS256", "one"),)
    await guard(harness, Guard(jwt={"shop": issuer(*keys)}), SHOP)
    assert (await bearer(harness, tokens.token("RS256", header={"kid": "one"}))).status == 200
    for name, (make, reason) in HOSTILE.items():
        token = make()
        before = sum(upstream.requests for upstream in harness.upstreams)
        answer = await bearer(harness, token)
        assert answer.status == 401, name
        assert answer.detail == f"the credential is not valid: {reason}", name
        assert answer.headers["www-authenticate"] == ['Bearer realm="shop", error="invalid_token"']
        assert token[:20] not in json.dumps(answer.body)
        assert sum(upstream.requests for upstream in harness.upstreams) == before, name


async def test_a_good_token_is_refused_when_it_expires(harness: Harness) -> None:
    """What was verified once is kept, but its time is looked at each time; leeway counts."""
    await guard(harness, Guard(jwt={"shop": issuer()}), SHOP)
    token = tokens.token(exp=time.time() + 0.6)
    assert (await bearer(harness, token)).status == 200
    while (answer := await bearer(harness, token)).status == 200:
        pass
    assert answer.detail.endswith("expired")
    await guard(harness, Guard(jwt={"shop": issuer(leeway=30.0)}), SHOP)
    assert (await bearer(harness, token)).status == 200


async def test_the_edge_chooses_by_kid_and_tries_without(harness: Harness) -> None:
    """With a kid only that key counts; without one each of its kind does."""
    keys = (tokens.key("RS256", "old", tokens.OTHER), tokens.key("RS256", "new"))
    await guard(harness, Guard(jwt={"shop": issuer(*keys)}), SHOP)
    assert (await bearer(harness, tokens.token("RS256", header={"kid": "new"}))).status == 200
    assert (await bearer(harness, tokens.token("RS256", header={"kid": "old"}))).status == 401
    assert (await bearer(harness, tokens.token("RS256"))).status == 200


async def test_several_issuers_and_nested_claims(harness: Harness) -> None:
    """Each token is held against its own issuer; roles may lie deeper; `aud` may be a list."""
    other = issuer(tokens.key("ES256"), issuer="https://other.test", audience="web", roles="realm.roles", user="email")
    required = route("/*", {"jwt": ["shop", "other"]})
    await guard(harness, Guard(jwt={"shop": issuer(), "other": other}), required)
    good = {"iss": "https://other.test", "aud": ["x", "web"], "email": "bob@example.org", "realm": {"roles": ["r"]}}
    answer = await bearer(harness, tokens.token("ES256", **good))
    assert answer.seen["x-forwarded-user"] == ["bob@example.org"] and answer.seen["x-forwarded-roles"] == ["r"]
    assert (await bearer(harness, tokens.token())).status == 200
    # the one's key does not make the other's tokens
    assert (await bearer(harness, tokens.token("HS256", **good))).status == 401
    assert (await bearer(harness, tokens.token("ES256"))).status == 401
    assert "expired" in (await bearer(harness, tokens.token("ES256", **{**good, "exp": 1}))).detail


async def test_identity_headers_cannot_be_forged(harness: Harness) -> None:
    """However they are spelled, the service sees the edge's own, or none."""
    await guard(harness, Guard(jwt={"shop": issuer()}), route("/open/*"), SHOP)
    forged = {"X-Forwarded-User": "root", "x-FORWARDED-Roles": "admin", "X-Forwarded-Claims": "e30"}
    answer = await bearer(harness, tokens.token(roles=["buyer"]), **forged)
    assert answer.seen["x-forwarded-user"] == ["alice"] and answer.seen["x-forwarded-roles"] == ["buyer"]
    assert len(answer.seen["x-forwarded-claims"]) == 1 and answer.seen["x-forwarded-claims"] != ["e30"]
    assert "x-forwarded-scopes" not in answer.seen
    assert not {"x-forwarded-user", "x-forwarded-roles"} & (await ask(harness, "/open/x", forged)).seen.keys()
    for name in ("X_Forwarded_User", "X-Forwarded_User", "x_forwarded_roles"):
        status, said = await raw.send(harness.port, raw.get("/open/x", f"{name}: root"))
        assert status in (400, 403) or b"root" not in said, name
    twice = ("X-Forwarded-User: root", "X-Forwarded-User: admin", "Connection: X-Forwarded-User")
    status, said = await raw.send(harness.port, raw.get("/", f"Authorization: Bearer {tokens.token()}", *twice))
    assert status == 200 and b'["x-forwarded-user", "alice"]' in said and b"root" not in said


async def test_authorization_twice_is_refused(harness: Harness) -> None:
    """Edge and service could each read another one."""
    await guard(harness, Guard(jwt={"shop": issuer()}), SHOP)
    line = f"Authorization: Bearer {tokens.token()}"
    assert (await raw.send(harness.port, raw.get("/", line)))[0] == 200
    assert (await raw.send(harness.port, raw.get("/", line, line)))[0] == 400
    assert (await raw.send(harness.port, raw.get("/", line, "Authorization: Basic eDp5")))[0] == 400
    joined = f"{line}, Bearer {tokens.token(sub='bob')}"
    assert (await raw.send(harness.port, raw.get("/", joined)))[0] == 401
    for odd in ("Authorization: Bearer", "Authorization: bearer   ", "Authorization:", "Authorization: Bearer a b"):
        assert (await raw.send(harness.port, raw.get("/", odd)))[0] == 401
    assert (await raw.send(harness.port, raw.get("/", line.replace("Bearer", "bEARER"))))[0] == 200


async def test_optional_takes_nobody_but_no_bad_credential(harness: Harness) -> None:
    """Who shows nothing passes as nobody; who shows something bad does not."""
    await guard(harness, Guard(jwt={"shop": issuer()}), route("/*", {"jwt": "shop", "optional": True}))
    assert "x-forwarded-user" not in (await ask(harness)).seen
    assert (await bearer(harness, tokens.token())).seen["x-forwarded-user"] == ["alice"]
    assert (await bearer(harness, tokens.token(exp=1))).status == 401


async def test_a_changed_key_set_loses_no_request(harness: Harness) -> None:
    """Other keys are a succession: the new ones count when it is done, and the removed ones no more."""
    await guard(harness, Guard(jwt={"shop": issuer(tokens.key("RS256", "a"))}), SHOP)
    old, new = (tokens.token("RS256", header={"kid": "a"}), tokens.token("ES256", header={"kid": "b"}))
    assert [(await bearer(harness, token)).status for token in (old, new)] == [200, 401]
    both = issuer(tokens.key("RS256", "a"), tokens.key("ES256", "b"))
    await guard(harness, Guard(jwt={"shop": both}), SHOP)
    assert [(await bearer(harness, token)).status for token in (old, new)] == [200, 200]
    await guard(harness, Guard(jwt={"shop": issuer(tokens.key("ES256", "b"))}), SHOP)
    assert [(await bearer(harness, token)).status for token in (old, new)] == [401, 200]


async def test_a_large_token_and_its_claims_fit(harness: Harness) -> None:
    """Close to the bound of 8 kB the token passes with its claims; nothing is cut off."""
    await guard(harness, Guard(jwt={"shop": issuer()}), SHOP)
    token = tokens.token(filler="x" * 5600)
    assert 7000 < len(token) < 8192
    answer = await bearer(harness, token)
    assert answer.status == 200 and answer.seen["x-forwarded-claims"] == [token.split(".")[1]]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1} {}',
        "[" * 40 + "]" * 40,
        '{"a":"\\ud800"}',
        '{"a":01}',
        '{"a":tru}',
        '{"a":',
        '["x"]',
        "null",
    ],
)
async def test_claims_that_two_readers_would_read_differently_are_refused(harness: Harness, text: str) -> None:
    """A good signature does not help a payload that is no clear JSON object."""
    await guard(harness, Guard(jwt={"shop": issuer()}), SHOP)
    from joserfc import jwk, jws

    made = jws.serialize_compact({"alg": "HS256"}, text, jwk.OctKey.import_key(tokens.SECRET))
    assert (await bearer(harness, made)).detail.endswith("malformed")
