"""The shop's services on a real PostgreSQL and a real Valkey, once for all tests here."""

from __future__ import annotations

import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from shop_harness import (
    Customer,
    Engines,
    Instance,
    Shop,
    free_port,
    instance_of,
    postgres,
    start_together,
    valkey,
)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that an unprivileged user may pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="shop-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def engines(folder: Path) -> Iterator[Engines]:
    both = Engines(postgres(folder, free_port()), valkey(folder, free_port()))
    try:
        both.postgres.start()
        both.valkey.start()
        yield both
    finally:
        both.valkey.end()
        both.postgres.end(signal.SIGQUIT)  # immediate: nothing here is wanted again


@pytest.fixture(scope="session")
def shop(folder: Path, engines: Engines) -> Iterator[Shop]:
    """The whole shop. Instances of a service start together, so that they race for the schema."""
    environment = {"SHOP_DB_URL": engines.database_url, "SESSIONS_URL": engines.cache_url}
    instances: dict[str, list[Instance]] = {}
    try:
        for service in ("catalogue", "users", "orders", "web"):
            made = [instance_of(folder, service, number, environment) for number in (1, 2)]
            instances[service] = made
            start_together([instance.process for instance in made])
            environment[f"{service.upper()}_URL"] = made[0].url
        yield Shop(engines, instances)
    finally:
        for instance in (instance for made in instances.values() for instance in made):
            instance.process.end()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(timeout=20, trust_env=False, limits=limits) as made:
        yield made


@pytest.fixture
async def customer(shop: Shop, client: httpx.AsyncClient) -> Customer:
    """Somebody new, signed in."""
    credentials = {"name": f"customer-{uuid.uuid4().hex[:12]}", "password": uuid.uuid4().hex}
    users = f"{shop.url('users')}/api/users"
    assert (await client.post(users, json=credentials)).status_code == 201
    answer = await client.post(f"{users}/sessions", json=credentials)
    assert answer.status_code == 201
    headers = {"authorization": f"Bearer {answer.json()['token']}"}
    return Customer(credentials["name"], credentials["password"], headers)
