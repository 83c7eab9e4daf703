"""What every instance of the shop does, whatever its service: start, answer, stop."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import uuid
from pathlib import Path

import httpx
import psycopg
import pytest
from shop_harness import Customer, Shop, instance_of, wait_for


async def test_a_stopped_instance_finishes_its_requests(
    shop: Shop, client: httpx.AsyncClient, customer: Customer
) -> None:
    """SIGTERM while an order waits for a locked row: the order is answered, and then the instance ends."""
    process = shop.instances["orders"][1].process
    with psycopg.connect(shop.engines.database_url) as connection:
        connection.execute("select 1 from products where id = 'notebook' for update")
        url = f"{shop.url('orders', 1)}/api/orders"
        body = {"product": "notebook", "quantity": 1}
        order = asyncio.create_task(client.post(url, json=body, headers=customer.headers))
        await asyncio.to_thread(_until_somebody_waits, shop)
        assert process.running is not None
        process.running.terminate()
        await asyncio.to_thread(_until_refused, shop.url("orders", 1))
        assert not order.done()
        connection.rollback()
    assert (await order).status_code == 201
    assert await asyncio.to_thread(process.running.wait, 5) == 0
    process.start()


def _until_somebody_waits(shop: Shop) -> None:
    def waiting() -> bool:
        with psycopg.connect(shop.engines.database_url) as connection:
            query = "select 1 from pg_locks where not granted"
            return connection.execute(query).fetchone() is not None

    wait_for(waiting, "an order waiting for the row")


def _until_refused(url: str) -> None:
    def refused() -> bool:
        try:
            httpx.get(f"{url}/health")
        except httpx.TransportError:
            return True
        return False

    wait_for(refused, "the instance closing its port")


async def test_an_instance_starts_before_its_database(folder: Path, shop: Shop, client: httpx.AsyncClient) -> None:
    """It waits for PostgreSQL instead of giving up, and is healthy once that is there."""
    environment = {
        "SHOP_DB_URL": shop.engines.database_url,
        "SESSIONS_URL": shop.engines.cache_url,
        "USERS_URL": shop.url("users"),
    }
    late = instance_of(folder, "orders", 9, environment)
    shop.engines.postgres.kill()
    starting = asyncio.create_task(asyncio.to_thread(late.process.start))
    await asyncio.to_thread(shop.engines.postgres.start)
    await starting
    assert (await client.get(f"{late.url}/health")).status_code == 200
    late.process.end()


async def test_the_page_runs_only_its_own_script(shop: Shop, client: httpx.AsyncClient) -> None:
    """The policy allows the inline script and style by their hashes, and nothing else."""
    answer = await client.get(shop.url("web"))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for tag in ("script", "style"):
        (element,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(element.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


async def test_the_page_is_sent_once(shop: Shop, client: httpx.AsyncClient) -> None:
    """A browser that has it is told so, by either instance."""
    tag = (await client.get(shop.url("web"))).headers["etag"]
    again = await client.get(shop.url("web", 1), headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_fault_tells_the_client_nothing(folder: Path, shop: Shop, client: httpx.AsyncClient) -> None:
    """A table that is not there is 500 with a plain sentence; the reason is in the log, not in the answer."""
    environment = {"SHOP_DB_URL": shop.engines.database_url, "SESSIONS_URL": shop.engines.cache_url}
    lone = instance_of(folder, "users", 9, environment)
    lone.process.start()
    with psycopg.connect(shop.engines.database_url, autocommit=True) as connection:
        connection.execute("alter table users rename to users_away")
        try:
            body = {"name": f"user-{uuid.uuid4().hex[:8]}", "password": "long enough"}
            answer = await client.post(f"{lone.url}/api/users", json=body)
        finally:
            connection.execute("alter table users_away rename to users")
            lone.process.end()
    assert answer.status_code == 500
    assert answer.json() == {"error": "something went wrong here; it is in the log"}


async def test_an_instance_that_may_not_make_its_tables_ends(folder: Path, shop: Shop) -> None:
    """It exits with a status other than 0 and the reason in its log, instead of answering 500 for ever."""
    with psycopg.connect(shop.engines.database_url, autocommit=True) as connection:
        connection.execute("create role stranger login")
    environment = {
        "SHOP_DB_URL": shop.engines.database_url.replace("shop@", "stranger@"),
        "SESSIONS_URL": shop.engines.cache_url,
    }
    lone = instance_of(folder, "users", 8, environment).process
    with pytest.raises(AssertionError, match="permission denied"):
        await asyncio.to_thread(lone.start)
    assert lone.running is not None
    assert lone.running.wait(5) != 0
