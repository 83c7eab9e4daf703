"""Users: tokens that cannot be forged, expire and are taken back; passwords that nobody can read."""

from __future__ import annotations

import base64
import importlib.util
import json
import time
import uuid
from types import ModuleType

import httpx
import psycopg
import pytest
from shop_harness import SHOP, TOKEN_KEY, Customer, Shop


@pytest.fixture(scope="module")
def tokens() -> ModuleType:
    """The service's own module, to sign what it never would."""
    spec = importlib.util.spec_from_file_location("shop_tokens", SHOP / "users" / "tokens.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _claims(customer: Customer) -> dict[str, object]:
    payload = _token(customer).split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _encoded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def _token(customer: Customer) -> str:
    return customer.headers["authorization"].removeprefix("Bearer ")


async def _verify(client: httpx.AsyncClient, shop: Shop, token: str, which: int = 0) -> int:
    headers = {"authorization": f"Bearer {token}".encode("latin-1")}
    return (await client.get(f"{shop.url('users', which)}/verify", headers=headers)).status_code


async def test_a_token_holds_at_every_instance(shop: Shop, client: httpx.AsyncClient, customer: Customer) -> None:
    """Both share the key."""
    for which in (0, 1):
        answer = await client.get(f"{shop.url('users', which)}/api/users/me", headers=customer.headers)
        assert answer.json()["name"] == customer.name


async def test_a_forged_token_is_refused(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, tokens: ModuleType
) -> None:
    """Signed with another key or not at all, changed claims under the old signature, or no token."""
    header, payload, signature = _token(customer).split(".")
    forged = [
        tokens.sign(_claims(customer), b"another key, just as long as it must be"),
        f"{header}.{_encoded(_claims(customer) | {'sub': 'admin'})}.{signature}",
        f"{_encoded({'alg': 'none'})}.{payload}.",
        f"{_encoded({'alg': 'HS512'})}.{payload}.{signature}",
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature}A",
        f"{header}.{payload}.{signature[:-2]}",
        "\xff\xfe",
        "x" * 4000,
    ]
    assert [await _verify(client, shop, token) for token in forged] == [401] * len(forged)
    assert await _verify(client, shop, _token(customer)) == 200


async def test_an_expired_token_is_refused(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, tokens: ModuleType
) -> None:
    """Even when its signature holds and its session is open; so is one that never expires."""
    key = TOKEN_KEY.encode()
    expired = tokens.sign(_claims(customer) | {"exp": int(time.time()) - 1}, key)
    renewed = tokens.sign(_claims(customer) | {"exp": int(time.time()) + 60}, key)
    endless = tokens.sign({name: value for name, value in _claims(customer).items() if name != "exp"}, key)
    assert await _verify(client, shop, expired) == 401
    assert await _verify(client, shop, endless) == 401
    assert await _verify(client, shop, renewed) == 200


async def test_signing_out_ends_the_session_everywhere(
    shop: Shop, client: httpx.AsyncClient, customer: Customer
) -> None:
    """Both instances refuse the token at once, although its signature holds."""
    assert [await _verify(client, shop, _token(customer), which) for which in (0, 1)] == [200, 200]
    url = f"{shop.url('users')}/api/users/sessions"
    assert (await client.delete(url, headers=customer.headers)).status_code == 204
    assert [await _verify(client, shop, _token(customer), which) for which in (0, 1)] == [401, 401]


async def test_sessions_outlive_the_cache(shop: Shop, client: httpx.AsyncClient, customer: Customer) -> None:
    """Valkey killed: the session is still known, and once ended it stays so when Valkey is back, empty."""
    shop.engines.valkey.kill()
    try:
        assert await _verify(client, shop, _token(customer)) == 200
        url = f"{shop.url('users')}/api/users/sessions"
        assert (await client.delete(url, headers=customer.headers)).status_code == 204
    finally:
        shop.engines.valkey.start()
    assert await _verify(client, shop, _token(customer)) == 401


async def test_a_wrong_name_and_a_wrong_password_are_told_alike(
    shop: Shop, client: httpx.AsyncClient, customer: Customer
) -> None:
    """The same status and the same words, so that nobody learns which names exist."""
    url = f"{shop.url('users')}/api/users/sessions"
    wrong = [
        await client.post(url, json={"name": customer.name, "password": "not this one"}),
        await client.post(url, json={"name": "nobody-here", "password": "not this one"}),
    ]
    assert [(answer.status_code, answer.json()) for answer in wrong] == [
        (401, {"error": "the name or the password is wrong"})
    ] * 2


async def test_a_name_is_given_once(shop: Shop, client: httpx.AsyncClient, customer: Customer) -> None:
    """The second sign-up is 409 and does not change the password of the first."""
    credentials = {"name": customer.name, "password": "another password"}
    answer = await client.post(f"{shop.url('users', 1)}/api/users", json=credentials)
    assert answer.status_code == 409
    signed_in = await client.post(f"{shop.url('users')}/api/users/sessions", json=credentials)
    assert signed_in.status_code == 401


async def test_passwords_are_kept_as_salted_hashes(shop: Shop, client: httpx.AsyncClient) -> None:
    """Two users with one password share nothing in the table, and the password is not in it."""
    password = uuid.uuid4().hex
    names = [f"twin-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    for name in names:
        await client.post(f"{shop.url('users')}/api/users", json={"name": name, "password": password})
    with psycopg.connect(shop.engines.database_url) as connection:
        rows = connection.execute("select password from users where name = any(%s)", (names,)).fetchall()
    assert len({row[0] for row in rows}) == 2
    assert all(row[0].startswith("scrypt$") and password not in row[0] for row in rows)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ab", "long enough"),
        ("a" * 33, "long enough"),
        ("Robert'); drop table users; --", "long enough"),
        ("line\n", "long enough"),
        ("nul\u0000", "long enough"),
        (None, "long enough"),
        ("short-password", "short"),
        ("long-password", "x" * 129),
        ("odd-password", "\ud800 surrogate"),
        ("no-password", None),
    ],
)
async def test_odd_credentials_are_refused(
    shop: Shop, client: httpx.AsyncClient, name: str | None, password: str | None
) -> None:
    """Each is 422 for signing up and for signing in."""
    body = json.dumps({"name": name, "password": password})
    for path in ("/api/users", "/api/users/sessions"):
        answer = await client.post(f"{shop.url('users')}{path}", content=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/json"
