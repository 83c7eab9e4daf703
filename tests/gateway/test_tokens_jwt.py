"""Signed tokens: every algorithm, and everything by which one is refused."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk

from cloudlet.errors import OperatorError, ProviderFailed
from cloudlet.gateway.tokens.claims import Rejected
from cloudlet.gateway.tokens.fetch import Fetcher
from cloudlet.gateway.tokens.issuers import Issuer
from cloudlet.gateway.tokens.jwks import Fetched
from cloudlet.gateway.tokens.keys import of_set
from cloudlet.stack.identity import Jwt

from .provider import Provider, good, key_set, named, public_pem, signed

SECRET = "a secret that is long enough for HS256"
KEYS = {
    "RSA": jwk.generate_key("RSA", 2048),
    "EC256": jwk.generate_key("EC", "P-256"),
    "EC384": jwk.generate_key("EC", "P-384"),
    "EC521": jwk.generate_key("EC", "P-521"),
    "OKP": jwk.generate_key("OKP", "Ed25519"),
}
MADE_BY = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "EC256",
    "ES384": "EC384",
    "ES512": "EC521",
    "EdDSA": "OKP",
    "Ed25519": "OKP",
}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = await Provider().start()
    yield made
    await made.stop()


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    made = Fetcher(timeout=2)
    yield made
    await made.close()


def issuer(tmp_path: Path, *keys: Any, **settings: Any) -> Issuer:
    """One that has these keys in a file."""
    file = tmp_path / "keys.pem"
    file.write_bytes(b"".join(map(public_pem, keys)))
    return Issuer("shop", Jwt(keys=(file,), **settings), Fetcher())


def by_secret(**settings: Any) -> Issuer:
    return Issuer("shop", Jwt(secret=SECRET, **settings), Fetcher())


async def because(issuer: Issuer, token: str) -> str:
    with pytest.raises(Rejected) as caught:
        await issuer.check(token)
    return caught.value.because


@pytest.mark.parametrize("algorithm", MADE_BY)
async def test_every_public_algorithm(tmp_path: Path, algorithm: str) -> None:
    """Each is verified by the keys of one file, whatever other keys stand there."""
    all_keys = issuer(tmp_path, *KEYS.values(), issuer="https://issuer", audience="shop")
    who = await all_keys.check(signed(good(roles=["buyer"], scope="a b"), KEYS[MADE_BY[algorithm]], algorithm))
    assert (who.user, who.roles, who.scopes) == ("ann", ("buyer",), ("a", "b"))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_secrets(algorithm: str) -> None:
    """A shared secret signs all three lengths."""
    who = await by_secret().check(signed(good(), jwk.OctKey.import_key(SECRET), algorithm))
    assert who.user == "ann"


async def test_none_is_no_algorithm(tmp_path: Path) -> None:
    """In any spelling, with and without a signature, by file and by secret."""
    for algorithm in ("none", "None", "NONE"):
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).rstrip(b"=").decode()
        payload = base64.urlsafe_b64encode(json.dumps(good()).encode()).rstrip(b"=").decode()
        for token in (f"{header}.{payload}.", f"{header}.{payload}.AAAA"):
            assert await because(issuer(tmp_path, KEYS["RSA"]), token) == "algorithm"
            assert await because(by_secret(), token) == "algorithm"


async def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    """HS256 with the text of the RSA key as secret is the classic confusion."""
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256"}, good()))
    content = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = hmac.digest(public_pem(KEYS["RSA"]), content, "sha256")
    forged = f"{content.decode()}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    assert await because(issuer(tmp_path, KEYS["RSA"]), forged) == "algorithm"
    assert await because(issuer(tmp_path, KEYS["RSA"], algorithms=("RS256", "HS256")), forged) == "unknown-key"


async def test_only_the_algorithms_of_the_file(tmp_path: Path) -> None:
    """A weaker one than asked for is refused though the key fits."""
    strict = issuer(tmp_path, KEYS["RSA"], algorithms=("PS512",))
    assert await because(strict, signed(good(), KEYS["RSA"], "RS256")) == "algorithm"
    assert (await strict.check(signed(good(), KEYS["RSA"], "PS512"))).user == "ann"


async def test_somebody_elses_key(tmp_path: Path) -> None:
    """A good token by another key, and one whose claims were changed."""
    ours = issuer(tmp_path, KEYS["EC256"])
    assert await because(ours, signed(good(), jwk.generate_key("EC", "P-256"), "ES256")) == "signature"
    header, _, signature = signed(good(), KEYS["EC256"], "ES256").split(".")
    payload = base64.urlsafe_b64encode(json.dumps(good(sub="root")).encode()).rstrip(b"=").decode()
    assert await because(ours, f"{header}.{payload}.{signature}") == "signature"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": ["another", "shopping"]}, "audience"),
        ({"aud": {"shop": 1}}, "audience"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "no-expiry"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": 1e300}, "malformed"),
        ({"nbf": 4e9}, "not-yet"),
        ({"iat": 4e9}, "not-yet"),
        ({"sub": ""}, "no-user"),
        ({"sub": ["ann"]}, "no-user"),
        ({"sub": True}, "no-user"),
    ],
)
async def test_what_a_token_must_say(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    """One wrong claim each, well signed."""
    ours = issuer(tmp_path, KEYS["EC256"], issuer="https://issuer", audience="shop")
    assert await because(ours, signed(good(**changes), KEYS["EC256"], "ES256")) == reason


async def test_leeway_is_just_that(tmp_path: Path) -> None:
    """A token that expired a moment ago counts within the leeway, not without."""
    token = signed(good(exp=good()["iat"] - 5), KEYS["EC256"], "ES256")
    assert (await issuer(tmp_path, KEYS["EC256"], leeway=30.0).check(token)).user == "ann"
    assert await because(issuer(tmp_path, KEYS["EC256"], leeway=0.0), token) == "expired"


@pytest.mark.parametrize(
    "token",
    ["", "a", "a.b", "a.b.c", "....", "é.é.é", "eyJhbGciOiJSUzI1NiJ9..", "IiI.e30.AA", "W10.e30.AA", "x" * 20000],
)
async def test_what_is_no_token(tmp_path: Path, token: str) -> None:
    """Whatever it is, it is refused and nothing breaks."""
    assert await because(issuer(tmp_path, KEYS["RSA"]), token) in {"malformed", "too-long", "signature", "algorithm"}


async def test_nothing_critical_is_understood(tmp_path: Path) -> None:
    """RFC 7515, 4.1.11: a header parameter that must be understood and isn't."""
    token = signed(good(), KEYS["EC256"], "ES256")
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    header |= {"crit": ["b64"], "b64": False}
    changed = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    assert await because(issuer(tmp_path, KEYS["EC256"]), ".".join((changed, *token.split(".")[1:]))) == "malformed"


async def test_other_claims(tmp_path: Path) -> None:
    """User, roles and scopes may lie deeper, and scopes be a list."""
    ours = issuer(tmp_path, KEYS["EC256"], user="email", roles="realm_access.roles", scopes="scp")
    claims = good(email="ann@shop", realm_access={"roles": ["admin", 7]}, scp=["orders.read", "x"])
    who = await ours.check(signed(claims, KEYS["EC256"], "ES256"))
    assert (who.user, who.roles, who.scopes) == ("ann@shop", ("admin",), ("orders.read", "x"))


def test_a_short_secret_is_refused() -> None:
    """The gateway does not start with a secret that can be guessed."""
    with pytest.raises(OperatorError, match=r"identity\.jwt\.shop\.secret has fewer than 32 bytes"):
        Issuer("shop", Jwt(secret="hunter2"), Fetcher())
    with pytest.raises(OperatorError, match="is a public key"):
        Issuer("shop", Jwt(secret=public_pem(KEYS["RSA"]).decode()), Fetcher())


def test_a_file_without_keys_is_refused(tmp_path: Path) -> None:
    """So is a file that holds no public key."""
    (tmp_path / "no.pem").write_text("hello")
    with pytest.raises(OperatorError, match=r"identity\.jwt\.shop\.keys: no `BEGIN PUBLIC KEY`"):
        Issuer("shop", Jwt(keys=(tmp_path / "no.pem",)), Fetcher())


def test_weak_and_secret_keys_of_a_set_are_left_out() -> None:
    """A published secret would let everybody sign; short RSA keys and unknown kinds do not count either."""
    secret = jwk.generate_key("oct", 256).as_dict(private=True)
    found = of_set(
        {"keys": [secret, {"kty": "ML-DSA"}, 7, {"kty": "RSA", "n": "!"}, KEYS["RSA"].as_dict(private=False)]}
    )
    assert [key.key_type for key in found] == ["RSA"]
    assert of_set({"keys": "x"}) == of_set({}) == []


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_rotation_shows_at_once(provider: Provider, fetcher: Fetcher) -> None:
    """A token by a new key makes the set be fetched anew; the old key counts until it is gone."""
    clock, old, new = Clock(), named("RSA", 2048, "old"), named("RSA", 2048, "new")
    provider.answers["/keys"] = key_set(old)
    source = Fetched(lambda: fetcher.get(f"{provider.address}/keys"), "keys", clock)
    assert [key.kid for key in await source.keys("old")] == ["old"]
    provider.answers["/keys"] = key_set(old, new)
    clock.now += 10
    assert [key.kid for key in await source.keys("new")] == ["old", "new"]
    assert len(provider.asked) == 2


async def test_strangers_do_not_make_it_ask(provider: Provider, fetcher: Fetcher) -> None:
    """A thousand tokens with invented keys ask the issuer once in ten seconds, together and one by one."""
    clock = Clock()
    provider.answers["/keys"] = key_set(named("RSA", 2048, "a"))
    source = Fetched(lambda: fetcher.get(f"{provider.address}/keys"), "keys", clock)
    await asyncio.gather(*(source.keys(f"invented-{n}") for n in range(500)))
    for n in range(500):
        await source.keys(f"more-{n}")
    assert len(provider.asked) == 1
    clock.now += 10
    await source.keys("once-more")
    assert len(provider.asked) == 2


async def test_the_last_good_set_counts_while_the_issuer_is_away(provider: Provider, fetcher: Fetcher) -> None:
    """A broken answer changes nothing; a day of them does."""
    clock = Clock()
    provider.answers["/keys"] = key_set(named("RSA", 2048, "a"))
    source = Fetched(lambda: fetcher.get(f"{provider.address}/keys"), "keys", clock)
    await source.keys(None)
    for broken in ((500, b""), (200, b"<html>"), (200, b"[]"), {"keys": []}, (302, b""), (200, b"x" * 600_000)):
        provider.answers["/keys"] = broken
        clock.now += 301
        assert [key.kid for key in await source.keys(None)] == ["a"]
    clock.now += 86_400
    with pytest.raises(ProviderFailed, match="answered more than 512000 bytes"):
        await source.keys(None)


async def test_a_silent_issuer_is_not_waited_for(provider: Provider) -> None:
    """Its silence is bounded in time, and remembered."""
    provider.go_on.clear()
    hasty = Fetcher(timeout=0.05)
    settings = Jwt(jwks=f"{provider.address}/keys")
    source = Issuer("shop", settings, hasty)
    for _ in range(3):
        with pytest.raises(ProviderFailed, match="did not answer"):
            await source.check(signed(good(), KEYS["RSA"], "RS256"))
    assert len(provider.asked) == 1
    await hasty.close()


@pytest.mark.parametrize(
    "address",
    ["http://example.com/keys", "ftp://127.0.0.1/", "file:///etc/passwd", "http://127.0.0.1.evil.test/", "//x"],
)
async def test_only_https_or_this_machine(fetcher: Fetcher, address: str) -> None:
    """Keys that came in clear from elsewhere could be anybody's."""
    with pytest.raises(ProviderFailed, match="it must be https"):
        await fetcher.get(address)


async def test_a_key_set_in_a_file_is_read_again(tmp_path: Path) -> None:
    """A replaced file counts for the next token; a broken one changes nothing."""
    file, first, second = tmp_path / "keys.json", named("EC", "P-256", "1"), named("EC", "P-256", "2")
    file.write_text(json.dumps(key_set(first)))
    ours = Issuer("shop", Jwt(jwks=str(file)), Fetcher())
    assert (await ours.check(signed(good(), first, "ES256", kid="1"))).user == "ann"
    file.write_text(json.dumps(key_set(first, second)))
    assert (await ours.check(signed(good(), second, "ES256", kid="2"))).user == "ann"
    file.write_text("{")
    assert (await ours.check(signed(good(), second, "ES256", kid="2"))).user == "ann"
