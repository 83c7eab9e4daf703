"""Orders: never more than there is, never twice, never for somebody whose token does not hold."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from shop_harness import Customer, Shop


@pytest.fixture
def product(shop: Shop) -> Iterator[str]:
    """A product of which there are fifty."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    with psycopg.connect(shop.engines.database_url) as connection:
        connection.execute("insert into products values (%s, 'test', 'test', 250, 50, 99)", (name,))
    yield name
    with psycopg.connect(shop.engines.database_url) as connection:
        connection.execute("delete from products where id = %s", (name,))


def _count(shop: Shop, product: str) -> tuple[int, int]:
    """What is left of the product, and how many were ordered."""
    with psycopg.connect(shop.engines.database_url) as connection:
        left = connection.execute("select stock from products where id = %s", (product,)).fetchone()
        query = "select coalesce(sum(quantity), 0) from orders where product = %s"
        ordered = connection.execute(query, (product,)).fetchone()
    assert left is not None and ordered is not None
    return int(left[0]), int(ordered[0])


async def _order(
    client: httpx.AsyncClient,
    shop: Shop,
    customer: Customer,
    body: Any,
    which: int = 0,
    key: str | None = None,
) -> httpx.Response:
    headers = customer.headers | ({"idempotency-key": key} if key else {})
    return await client.post(f"{shop.url('orders', which)}/api/orders", json=body, headers=headers)


async def test_fifty_items_are_sold_fifty_times_to_two_hundred_buyers(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, product: str
) -> None:
    """200 concurrent orders through both instances: 50 are placed, 150 hear that nothing is left."""
    body = {"product": product, "quantity": 1}
    answers = await asyncio.gather(*(_order(client, shop, customer, body, number % 2) for number in range(200)))
    assert Counter(answer.status_code for answer in answers) == {201: 50, 409: 150}
    assert _count(shop, product) == (0, 50)


async def test_a_quantity_is_taken_whole_or_not_at_all(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, product: str
) -> None:
    """Fifty by sevens: seven orders fit, and the one left over item stays."""
    body = {"product": product, "quantity": 7}
    answers = await asyncio.gather(*(_order(client, shop, customer, body, number % 2) for number in range(20)))
    assert Counter(answer.status_code for answer in answers) == {201: 7, 409: 13}
    assert _count(shop, product) == (1, 49)


async def test_the_same_idempotency_key_is_the_same_order(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, product: str
) -> None:
    """Twenty at once with one key, at both instances: one order, one item taken, everybody told the same."""
    body = {"product": product, "quantity": 1}
    answers = await asyncio.gather(
        *(_order(client, shop, customer, body, number % 2, "the-key") for number in range(20))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 19}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert _count(shop, product) == (49, 1)


async def test_a_key_cannot_be_used_for_a_different_order(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, product: str
) -> None:
    """The second use is refused rather than answered with an order of something else."""
    key = uuid.uuid4().hex
    assert (await _order(client, shop, customer, {"product": product, "quantity": 1}, key=key)).status_code == 201
    changed = await _order(client, shop, customer, {"product": product, "quantity": 2}, key=key)
    assert changed.status_code == 422
    assert "Idempotency-Key" in changed.json()["error"]


async def test_a_buyer_sees_only_his_own_orders(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, product: str
) -> None:
    """The order is found by its buyer, at either instance, and by nobody else."""
    placed = (await _order(client, shop, customer, {"product": product, "quantity": 2})).json()
    url = f"{shop.url('orders', 1)}/api/orders"
    found = (await client.get(f"{url}/{placed['id']}", headers=customer.headers)).json()
    assert (found["product"], found["quantity"], found["total"]) == (product, 2, 500)
    listed = (await client.get(url, headers=customer.headers)).json()["orders"]
    assert [order["id"] for order in listed] == [placed["id"]]

    other = {"name": f"other-{uuid.uuid4().hex[:8]}", "password": "long enough"}
    await client.post(f"{shop.url('users')}/api/users", json=other)
    token = (await client.post(f"{shop.url('users')}/api/users/sessions", json=other)).json()["token"]
    stranger = await client.get(f"{url}/{placed['id']}", headers={"authorization": f"Bearer {token}"})
    assert stranger.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"product": "blue-mug"},
        {"product": "blue-mug", "quantity": 0},
        {"product": "blue-mug", "quantity": -1},
        {"product": "blue-mug", "quantity": 11},
        {"product": "blue-mug", "quantity": 10**30},
        {"product": "blue-mug", "quantity": True},
        {"product": "blue-mug", "quantity": "1"},
        {"product": "no-such-product", "quantity": 1},
        {"product": "blue-mug'; drop table orders; --", "quantity": 1},
        {"product": "blue-mug\u0000", "quantity": 1},
        {"product": ["blue-mug"], "quantity": 1},
    ],
    ids=str,
)
async def test_a_wrong_order_is_refused(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, body: dict[str, object]
) -> None:
    """Each is 422, says which field is wrong, and takes nothing from the stock."""
    before = _count(shop, "blue-mug")
    answer = await _order(client, shop, customer, body)
    assert answer.status_code == 422
    assert "product" in answer.json()["error"] or "quantity" in answer.json()["error"]
    assert _count(shop, "blue-mug") == before


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[1]", 400),
        (b"\xff\xfe", 400),
        (b"[" * 10_000, 400),
        (b'{"product": "' + b"x" * 20_000 + b'"}', 413),
    ],
    ids=["empty", "cut", "array", "not-utf-8", "nested", "oversized"],
)
async def test_a_malformed_body_is_refused(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, content: bytes, status: int
) -> None:
    """What is not a JSON object of at most 16 KB never becomes an order, nor an error of ours."""
    url = f"{shop.url('orders')}/api/orders"
    answer = await client.post(url, content=content, headers=customer.headers)
    assert answer.status_code == status


async def test_a_malformed_key_or_id_is_refused(shop: Shop, client: httpx.AsyncClient, customer: Customer) -> None:
    """Neither reaches the database."""
    body = {"product": "blue-mug", "quantity": 1}
    assert (await _order(client, shop, customer, body, key="x" * 129)).status_code == 400
    url = f"{shop.url('orders')}/api/orders/1%20or%201=1"
    assert (await client.get(url, headers=customer.headers)).status_code == 400


async def test_nobody_orders_without_signing_in(shop: Shop, client: httpx.AsyncClient) -> None:
    """No token, a wrong scheme and a made-up token are all 401."""
    url = f"{shop.url('orders')}/api/orders"
    for headers in ({}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer made.up"}):
        answer = await client.post(url, json={"product": "blue-mug", "quantity": 1}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_no_order_is_lost_or_doubled_when_the_database_is_killed(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, product: str
) -> None:
    """PostgreSQL killed and restarted in the middle of forty orders: each is placed exactly once."""
    body = {"product": product, "quantity": 1}
    first = asyncio.Event()

    async def place(number: int) -> int:
        answer = await _order(client, shop, customer, body, number % 2)
        first.set()
        return answer.status_code

    placing = [asyncio.create_task(place(number)) for number in range(40)]
    await first.wait()
    await asyncio.to_thread(shop.engines.postgres.kill)
    await asyncio.to_thread(shop.engines.postgres.start)
    assert await asyncio.gather(*placing) == [201] * 40
    assert _count(shop, product) == (10, 40)


async def test_orders_go_on_while_users_restarts(
    shop: Shop, client: httpx.AsyncClient, customer: Customer, product: str
) -> None:
    """Who is buying is asked again until somebody answers; when nobody does, 503 says when to retry."""
    users = shop.instances["users"][0].process
    users.kill()
    away = await _order(client, shop, customer, {"product": product, "quantity": 1})
    assert (away.status_code, away.headers["retry-after"]) == (503, "1")
    await asyncio.to_thread(users.start)
    back = await _order(client, shop, customer, {"product": product, "quantity": 1})
    assert back.status_code == 201
    assert _count(shop, product) == (49, 1)
