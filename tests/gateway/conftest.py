"""Services behind the gateway service, on ports that stay the same within a module, as its process does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .service import Service, free_port


@pytest.fixture(scope="module")
def web_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def other_port() -> int:
    return free_port()


@pytest.fixture
async def web(web_port: int) -> AsyncIterator[Service]:
    service = await Service(port=web_port).start()
    yield service
    await service.stop()


@pytest.fixture
async def other(other_port: int) -> AsyncIterator[Service]:
    service = await Service(port=other_port).start()
    yield service
    await service.stop()
