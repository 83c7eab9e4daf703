"""Asks services: each at the edge's internal listener, where requests are balanced, retried and held.

A request that breaks off on a connection that was used before is sent once more when it may be repeated (aiohttp's own
rule); any other is answered by 502. Connections are given up sooner than the edge would close them.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping

import aiohttp
from yarl import URL

from cloudlet.gateway.headers import Headers
from cloudlet.gateway.problem import Refusal, Unanswered
from cloudlet.gateway.request import Body, Request
from cloudlet.gateway.response import Response

#: bytes of a header line; the edge takes 16 kB of header fields
_LONGEST_HEADER = 32_768
#: seconds; below the edge's own 30, so that it never closes what we are about to use
_IDLE = 15.0
_CONNECT = 5.0
#: seconds of silence within an answer
_SILENCE = 3600.0
#: bytes written at once
_AT_ONCE = 262_144
_SMALL = 16_384
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Upstream:
    """One per process. Construct, start, ask, stop."""

    def __init__(self, services: Mapping[str, str]) -> None:
        self._services = {name: url.rstrip("/") for name, url in services.items()}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = _session()

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, service: str, request: Request, timeout: float | None = None) -> Response:
        """The service's answer, its body still to come. `timeout` seconds until it begins. Raises Unanswered."""
        assert self._session is not None, "started before it asks"
        url = URL(f"{self._services[service]}{request.target}", encoded=True)
        await _read_small(request)
        try:
            async with asyncio.timeout(timeout):
                answer = await self._session.request(
                    request.method,
                    url,
                    headers=request.headers.items,
                    data=_data(request.body),
                    allow_redirects=False,
                )
        except TimeoutError as error:
            raise _late(service, timeout) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _lost(service, error) from error
        except ValueError as error:
            raise Refusal(400, f"the request cannot be passed on: {error}", reason="malformed") from error
        return _response(service, answer)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_AUTOMATIC,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE),
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
    )


async def _read_small(request: Request) -> None:
    """A body that is here at once goes on in one piece, which costs half as much."""
    length = request.headers.get("content-length")
    if request.body.streamed and length.isdigit() and int(length) <= _SMALL:
        await request.body.read()


def _data(body: Body) -> AsyncIterator[bytes] | io.BytesIO | bytes | None:
    """A large body that was read is written piece by piece, so that others are served meanwhile."""
    if body.streamed:
        return body.chunks()
    return io.BytesIO(body.content) if len(body.content) > _AT_ONCE else body.content or None


def _response(service: str, answer: aiohttp.ClientResponse) -> Response:
    headers = Headers.received(answer.raw_headers).end_to_end()
    content = answer.content
    if content.is_eof():  # the usual small answer is here already
        body = content.read_nowait(-1) if content.total_bytes else b""
        answer.release()
        return Response(answer.status, headers, body)
    return Response(answer.status, headers, stream=_stream(service, answer), close=answer.close)


async def _stream(service: str, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise _lost(service, error) from error


def _late(service: str, timeout: float | None) -> Unanswered:
    within = f" within {timeout:g} s" if timeout is not None else " in time"
    return Unanswered(504, f"{service} did not answer{within}; the request may have had its effect", "timeout")


def _lost(service: str, error: Exception) -> Unanswered:
    if isinstance(error, aiohttp.ClientConnectorError):
        return Unanswered(502, f"{service} cannot be reached", "unreachable")
    if isinstance(error, aiohttp.ServerTimeoutError):
        return _late(service, None)
    return Unanswered(502, f"{service} broke off; the request may have had its effect", "broken")
