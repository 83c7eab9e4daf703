"""gzip at the edge: what is compressed, and what is left alone."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from .conftest import Harness
from .shaped import route, start_told
from .told import Told

_TEXT = {"type": "application/json; charset=utf-8", "size": "20000"}


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    made = await Told().start()
    yield made
    await made.stop()


async def _get(harness: Harness, query: dict[str, object], accept: str | None = "gzip") -> tuple[dict[str, str], bytes]:
    headers = {"Accept-Encoding": accept} if accept is not None else {}
    path = "/?" + urlencode(query, doseq=True)
    skip = ["Accept-Encoding"] if accept is None else []
    async with harness.client.get(path, headers=headers, skip_auto_headers=skip) as answer:
        answer.content  # noqa: B018
        return {name.lower(): value for name, value in answer.headers.items()}, await answer.read()


@pytest.fixture
def plain(harness: Harness) -> Harness:
    """A client that shows bodies as they came."""
    harness.client._auto_decompress = False
    return harness


async def test_text_is_compressed(plain: Harness, told: Told) -> None:
    """To a part of its size, its ETag weakened, and caches are told that it varies."""
    await start_told(plain, told, route(), compression={})
    headers, body = await _get(plain, {**_TEXT, "header": 'ETag:"v1"'})
    assert headers["content-encoding"] == "gzip"
    assert headers["etag"] == 'W/"v1"'
    assert "accept-encoding" in headers["vary"].lower()
    assert len(body) < 500
    assert len(gzip.decompress(body)) == 20_001


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        (_TEXT, None),
        (_TEXT, "br"),
        (_TEXT, "gzip;q=0"),
        ({**_TEXT, "header": "Cache-Control:no-transform"}, "gzip"),
        ({**_TEXT, "header": "Content-Encoding:br"}, "gzip"),
        ({**_TEXT, "type": "image/png"}, "gzip"),
        ({**_TEXT, "status": "404"}, "gzip"),
    ],
    ids=[
        "nothing accepted",
        "another accepted",
        "refused",
        "no-transform",
        "compressed already",
        "an image",
        "an error",
    ],
)
async def test_what_is_left_alone(plain: Harness, told: Told, query: dict[str, object], accept: str | None) -> None:
    """It comes as the service made it."""
    await start_told(plain, told, route(), compression={})
    headers, body = await _get(plain, query, accept)
    assert headers.get("content-encoding", "br") == "br"
    assert len(body) == 20_001


async def test_without_the_key_nothing_is_compressed(plain: Harness, told: Told) -> None:
    """A file that doesn't ask pays nothing."""
    await start_told(plain, told, route())
    assert len((await _get(plain, _TEXT))[1]) == 20_001


async def test_an_answer_is_kept_as_it_was_and_compressed_for_who_asks(plain: Harness, told: Told) -> None:
    """Cache and compression together: each client gets what it accepts."""
    await start_told(plain, told, route(cache="10s"), compression={})
    for accept in ("gzip", None, "gzip"):
        headers, body = await _get(plain, _TEXT, accept)
        assert ("content-encoding" in headers) == (accept == "gzip")
        assert (gzip.decompress(body) if accept else body) == b"1" + b"x" * 20_000
    assert told.asked == {"/": 1}
