"""An answer on its way to the client: whole, or a stream that somebody must read or close."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from cloudlet.gateway.headers import Headers

#: bytes; the most that a step reads whole
LARGEST_BODY = 10_000_000


class TooLarge(Exception):
    """A body that a step needs whole is larger than it may be."""


class Response:
    """`substitute` says that it stands for one that failed, so that nobody keeps it as the service's own."""

    __slots__ = ("_close", "body", "headers", "status", "stream", "substitute")

    def __init__(
        self,
        status: int,
        headers: Headers | None = None,
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
        close: Callable[[], None] | None = None,
        substitute: bool = False,
    ) -> None:
        self.status, self.body, self.stream, self._close = status, body, stream, close
        self.headers = headers if headers is not None else Headers()
        self.substitute = substitute

    async def read(self, most: int = LARGEST_BODY) -> bytes:
        """The whole body, kept. Raises TooLarge, and Unanswered when the service breaks off."""
        if self.stream is not None:
            chunks: list[bytes] = []
            length = 0
            try:
                async for chunk in self.stream:
                    length += len(chunk)
                    if length > most:
                        raise TooLarge(f"an answer of more than {most} bytes")
                    chunks.append(chunk)
            finally:
                self.close()
            self.body = b"".join(chunks)
        return self.body

    def replace(self, body: bytes) -> None:
        """Another body: its length is the new one, and a validator or digest of the old bytes goes."""
        self.body = body
        self.headers.remove("content-length", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges")
        etag = self.headers.get("etag")
        if etag and not etag.startswith("W/"):
            self.headers.set("etag", f"W/{etag}")

    def close(self) -> None:
        """Let go of the stream, read or not; may be called again."""
        self.stream = None
        if self._close is not None:
            close, self._close = self._close, None
            close()
