"""200 clients that never finish what they say: they are ended, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.support import front
from tests.support.front import counted, steady
from tests.support.load import load

REST = """
gateway:
  listen: {{http: 0, https: "off"}}
  routes:
    - {{path: /*, to: web}}
    - {{path: /sent/*, to: web, timeout: {{request: 3s}}}}
"""
HEAD = b"GET / HTTP/1.1\r\nHost: slow\r\n"
BODY = b"POST /sent/a HTTP/1.1\r\nHost: slow\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def stack(stack_of):
    with stack_of(front.STACK.format(rest=REST)) as live:
        live.up()
        yield live


async def trickle(port: int, begin: bytes, more: bytes) -> int:
    """A few bytes twice a second until there is an answer, and its status; 0 for a bare close. The connection is closed
    then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read())
    with contextlib.suppress(ConnectionError):
        writer.write(begin)
        while not (await asyncio.wait([answer], timeout=0.5))[0]:
            writer.write(more)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        said = await answer
        writer.close()
        return int(said.split()[1]) if said else 0
    return 0


async def slow(port: int) -> Counter[tuple[str, int]]:
    """What became of 100 that trickle headers and 100 that trickle a body."""
    heads = [trickle(port, HEAD, b"X-A: b\r\n") for _ in range(100)]
    bodies = [trickle(port, BODY, b"a") for _ in range(100)]
    async with asyncio.timeout(30):
        ends = await asyncio.gather(*heads, *bodies)
    return Counter(("head" if place < 100 else "body", end) for place, end in enumerate(ends))


def test_slow_clients_are_ended_and_their_neighbours_served(stack):
    """Headers are waited for 10 s, a body as long as the route says: 408, while none of 10,500 other requests fails."""
    port = urlsplit(stack.address()).port
    with ThreadPoolExecutor(1) as pool, load(steady(stack, rate=1000, duration=10.5)) as running:
        ends = pool.submit(asyncio.run, slow(port)).result()
    counted("200 slow clients", running.report, f"; {dict(ends)} of them")
    assert ends == {("head", 408): 100, ("body", 408): 100}
