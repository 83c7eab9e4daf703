"""A request as the edge passes it on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from cloudlet.gateway.headers import Headers
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.response import LARGEST_BODY, Response

#: the next piece of a body, None after the last one; raises ConnectionResetError when the client is gone
Receive: TypeAlias = Callable[[], Awaitable[bytes | None]]

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: bytes of bodies read whole, of all requests of a process together
MOST_HELD = 256_000_000
#: what may be sent twice (RFC 9110, 9.2.2)
IDEMPOTENT = SAFE | {"PUT", "DELETE"}


class Body:
    """Read whole, or passed on as it comes; not both."""

    __slots__ = ("_content", "_held", "_receive")
    #: of all requests of this process
    held: ClassVar[int] = 0

    def __init__(self, receive: Receive | None = None, content: bytes = b"") -> None:
        self._receive, self._content, self._held = receive, content, 0

    def __del__(self) -> None:
        Body.held -= self._held

    @property
    def content(self) -> bytes:
        """What was read, or put in its place."""
        return self._content

    @property
    def streamed(self) -> bool:
        """Whether there is still something to come from the client."""
        return self._receive is not None

    async def read(self, most: int = LARGEST_BODY) -> bytes:
        """The whole body, kept for whoever reads it next. Raises Refusal (413, 503)."""
        if self._receive is not None:
            chunks: list[bytes] = []
            length = 0
            async for chunk in self.chunks():
                length += len(chunk)
                if length > most:
                    detail = f"the body is larger than the {most} bytes that this route can look into"
                    raise Refusal(413, detail, reason="body-size")
                self._hold(len(chunk))
                chunks.append(chunk)
            self._content = b"".join(chunks)
        return self._content

    def _hold(self, length: int) -> None:
        """Many large bodies at once must not take all memory. Raises Refusal (503)."""
        self._held += length
        Body.held += length
        if Body.held > MOST_HELD:
            detail = "too many large bodies are under way; try again"
            raise Refusal(503, detail, reason="busy", headers={"retry-after": "1"})

    async def chunks(self) -> AsyncIterator[bytes]:
        receive, self._receive = self._receive, None
        while receive is not None and (chunk := await receive()) is not None:
            if chunk:
                yield chunk

    def replace(self, content: bytes) -> None:
        self._receive, self._content = None, content


@dataclass(slots=True)
class Request:
    """`path` and `query` are as the client sent them, percent-encoded; `query` is without its `?`."""

    method: str
    path: str
    query: str
    headers: Headers
    body: Body = field(default_factory=Body)
    #: the label of the route that the edge took; empty for a path of cloudlet's own
    label: str = ""

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def user(self) -> str:
        """Who the edge says is asking; empty for nobody known."""
        return self.headers.get("x-forwarded-user")

    def replace_body(self, content: bytes) -> None:
        self.body.replace(content)
        self.headers.remove("content-length", "transfer-encoding", "content-md5", "digest", "content-digest")


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
#: one step of a route: a handler around the one behind it
Step: TypeAlias = Callable[[Handler], Handler]
