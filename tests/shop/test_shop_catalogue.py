"""The catalogue: cached, honest about it, and indifferent to what is killed behind it."""

from __future__ import annotations

import asyncio

import httpx
import psycopg
from shop_harness import Shop


async def test_products_come_from_the_database_and_then_from_the_cache(shop: Shop, client: httpx.AsyncClient) -> None:
    """The first answer is a miss, the next one a hit with the same content, even from the other instance."""
    missed = await _until(client, f"{shop.url('catalogue')}/api/products/brass-pen", "miss")
    hit = await client.get(f"{shop.url('catalogue', 1)}/api/products/brass-pen")
    assert hit.headers["x-cache"] == "hit"
    assert hit.json() == missed.json()


async def test_a_cached_product_expires(shop: Shop, client: httpx.AsyncClient) -> None:
    """The time to live is seconds, so a changed price is seen without anybody deleting a key."""
    url = f"{shop.url('catalogue')}/api/products/canvas-bag"
    await client.get(url)
    with psycopg.connect(shop.engines.database_url, autocommit=True) as connection:
        connection.execute("update products set price = price + 100 where id = 'canvas-bag'")
        price = connection.execute("select price from products where id = 'canvas-bag'").fetchone()
    answer = await _until(client, url, "miss")
    assert price == (answer.json()["price"],)


async def test_every_answer_says_which_instance_gave_it(shop: Shop, client: httpx.AsyncClient) -> None:
    """X-Served-By is the instance's own name, on errors too."""
    for which, name in enumerate(("catalogue-1", "catalogue-2")):
        for path in ("/api/products", "/api/products/no-such", "/nothing"):
            answer = await client.get(f"{shop.url('catalogue', which)}{path}")
            assert answer.headers["x-served-by"] == name


async def test_products_are_listed_in_their_order(shop: Shop, client: httpx.AsyncClient) -> None:
    """All six, each with its stock."""
    products = (await client.get(f"{shop.url('catalogue')}/api/products")).json()["products"]
    assert [product["id"] for product in products][:2] == ["blue-mug", "notebook"]
    assert len(products) == 6
    assert all(product["stock"] >= 0 for product in products)


async def test_what_is_no_product_is_refused(shop: Shop, client: httpx.AsyncClient) -> None:
    """An unknown product is 404, an injection is 400, and neither reaches the table."""
    base = f"{shop.url('catalogue')}/api/products"
    assert (await client.get(f"{base}/no-such")).status_code == 404
    assert (await client.get(f"{base}/x' or '1'='1")).status_code == 400
    assert (await client.get(f"{base}/%00")).status_code == 400
    assert (await client.get(f"{base}/" + "a" * 5000)).status_code == 400
    assert (await client.post(base, json={})).status_code == 405


async def test_the_cache_may_be_away(shop: Shop, client: httpx.AsyncClient) -> None:
    """With Valkey killed every answer still comes, from the database; once it is back, hits are back too."""
    url = f"{shop.url('catalogue')}/api/products"
    shop.engines.valkey.kill()
    try:
        answers = [await client.get(url) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-cache"] for answer in answers} == {"miss"}
    finally:
        shop.engines.valkey.start()
    await _until(client, url, "hit")


async def test_the_database_may_be_restarted(shop: Shop, client: httpx.AsyncClient) -> None:
    """Reads during a kill and a restart of PostgreSQL wait for it and are answered; none fails."""
    shop.engines.valkey.kill()  # so that every read asks the database
    try:
        reading = [asyncio.create_task(_read(client, shop, number)) for number in range(100)]
        await asyncio.to_thread(shop.engines.postgres.kill)
        await asyncio.to_thread(shop.engines.postgres.start)
        assert await asyncio.gather(*reading) == [200] * 100
    finally:
        shop.engines.valkey.start()


async def _read(client: httpx.AsyncClient, shop: Shop, number: int) -> int:
    answer = await client.get(f"{shop.url('catalogue', number % 2)}/api/products")
    return answer.status_code


async def _until(client: httpx.AsyncClient, url: str, cache: str) -> httpx.Response:
    async with asyncio.timeout(10):
        while True:
            answer = await client.get(url)
            assert answer.status_code == 200
            if answer.headers["x-cache"] == cache:
                return answer
            await asyncio.sleep(0.05)


async def test_a_changed_price_is_shown_by_every_instance(shop: Shop, client: httpx.AsyncClient) -> None:
    """The change takes the old one out of the cache they share; were that away just then, within its two seconds."""
    before = (await client.get(f"{shop.url('catalogue')}/api/products/brass-pen")).json()["price"]
    for price in (before + 100, before):
        changed = await client.put(f"{shop.url('catalogue')}/api/products/brass-pen", json={"price": price})
        assert changed.json()["price"] == price
        for which in (0, 1):
            url = f"{shop.url('catalogue', which)}/api/products/brass-pen"
            async with asyncio.timeout(10):
                while (await client.get(url)).json()["price"] != price:
                    await asyncio.sleep(0.05)


async def test_an_odd_price_is_refused(shop: Shop, client: httpx.AsyncClient) -> None:
    """Nothing is sold for nothing, and what is not there has no price."""
    url = f"{shop.url('catalogue')}/api/products"
    assert (await client.put(f"{url}/brass-pen", json={"price": 0})).status_code == 422
    assert (await client.put(f"{url}/brass-pen", json={"price": "cheap"})).status_code == 422
    assert (await client.put(f"{url}/no-such-thing", json={"price": 100})).status_code == 404
