"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the first answer is kept and given again.

A key belongs to its route and user, and to one request: the same key with another method, path, query, type or body is
refused (422). While the first is under way, a second waits for its answer, and gets 409 when that takes too long.

The first holds the key by a lock that it renews: when its gateway dies, the lock expires, and whoever waits carries the
request out, as the edge's own retries do for a keyed request. Kept is what has a meaning the next time, too: no 5xx,
and nothing that asks to come back otherwise or later. Without the store keyed requests are refused (503), never carried
out unguarded.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from cloudlet.gateway.answers import pack, unpack
from cloudlet.gateway.idempotency_store import Claim, IdempotencyStore, Known, StoreAway
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import SAFE, Handler, Request
from cloudlet.gateway.response import Response
from cloudlet.stack.gateway.resilience import Idempotency

KEY, REPLAYED = "idempotency-key", "idempotency-replayed"
#: bytes of an answer that is kept
LARGEST_KEPT = 1_000_000
_KEY_PATTERN = re.compile(r'"?([\x21\x23-\x5b\x5d-\x7e]{1,255})"?')
#: methods that must not be repeated without a key
_NEEDY = frozenset({"POST", "PATCH"})
_NOT_KEPT = frozenset({401, 403, 408, 425, 429})
log = logging.getLogger("cloudlet.gateway")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. A dead gateway's key is free after `lifetime`; whoever waits does so a little longer than that."""

    lifetime: float = 5.0
    renewal: float = 1.0
    wait: float = 7.0
    #: how often whoever waits looks, from the first time to the last
    look: tuple[float, float] = (0.02, 0.25)
    #: requests that wait at once
    most_waiting: int = 200


class Guard:
    """One route's keyed requests."""

    def __init__(self, label: str, design: Idempotency, store: IdempotencyStore, times: Times | None = None) -> None:
        self._label, self._design, self._store = label, design, store
        self._times = times or Times()
        self._waiting = 0

    def wrap(self, then: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            key = _key(request)
            if request.method in SAFE or key is None:
                if self._design.required and request.method in _NEEDY:
                    raise Refusal(400, "this route needs an Idempotency-Key", reason="idempotency-key")
                return await then(request)
            try:
                found = await self._claim(self._digest(request, key), await fingerprint(request))
            except StoreAway:
                raise _away() from None
            return await self._carry_out(found, request, then) if isinstance(found, Claim) else found

        return handle

    def _digest(self, request: Request, key: str) -> str:
        """Who nobody knows is told apart by what they show."""
        user = f"user {request.user}" if request.user else f"shows {request.headers.get('authorization')}"
        return hashlib.sha256("\0".join((self._label, user, key)).encode("utf-8", "surrogateescape")).hexdigest()

    async def _claim(self, digest: str, printed: str) -> Claim | Response:
        """The key, or the answer that was given for it. Raises Refusal, StoreAway."""
        deadline = asyncio.get_running_loop().time() + self._times.wait
        pause, longest = self._times.look
        with self._counted():
            while True:
                found = await self._store.begin(digest, printed, self._times.lifetime)
                if isinstance(found, Claim):
                    return found
                answer = _answer(found, printed)
                if answer is not None:
                    return answer
                late = asyncio.get_running_loop().time() >= deadline
                if late or self._waiting > self._times.most_waiting:
                    detail = "a request with this Idempotency-Key is under way"
                    raise Refusal(409, detail, reason="idempotency-key", headers={"retry-after": "1"})
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _carry_out(self, claim: Claim, request: Request, then: Handler) -> Response:
        renewing = asyncio.create_task(self._renew(claim))
        keep: Callable[[], bytes] | None = None
        response = None
        try:
            response = await then(request)
            keep = await _kept(response)
            return response
        finally:
            renewing.cancel()
            await self._end(claim, keep)

    async def _end(self, claim: Claim, keep: Callable[[], bytes] | None) -> None:
        try:
            if keep is None:
                await self._store.release(claim)
            elif not await self._store.finish(claim, keep(), self._design.keep):
                log.warning("an answer was not kept: its key was taken over (route %s)", self._label)
        except StoreAway as error:
            log.warning("an answer was not kept: the store is away: %s (route %s)", error, self._label)

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._times.renewal)
            with contextlib.suppress(StoreAway):
                if not await self._store.renew(claim, self._times.lifetime):
                    return


async def fingerprint(request: Request) -> str:
    """What must be the same for the same key."""
    digest = hashlib.sha256()
    for part in (request.method, request.target, request.headers.get("content-type")):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(await request.body.read())
    return digest.hexdigest()


def _key(request: Request) -> str | None:
    """The key, with or without the quotes of a structured field."""
    given = request.headers.all(KEY)
    if not given:
        return None
    found = _KEY_PATTERN.fullmatch(given[0].strip())
    if len(given) > 1 or found is None:
        detail = "Idempotency-Key must be one text of at most 255 visible characters"
        raise Refusal(400, detail, reason="idempotency-key")
    return found[1]


def _answer(known: Known, printed: str) -> Response | None:
    """The answer given before; None while it is under way. Raises Refusal."""
    if known.fingerprint != printed:
        detail = "this Idempotency-Key was used for another request; take a new one"
        raise Refusal(422, detail, reason="idempotency-key")
    if known.packed is None:
        return None
    if not known.packed:
        detail = "this request was carried out before; its answer was too large to be kept"
        raise Refusal(409, detail, reason="idempotency-key")
    response = unpack(known.packed)
    response.headers.set(REPLAYED, "true")
    return response


async def _kept(response: Response) -> Callable[[], bytes] | None:
    """What makes the bytes to keep, after the body was read as far as it may be; None for what is not kept."""
    if response.status >= 500 or response.status in _NOT_KEPT or response.substitute:
        return None
    return (lambda: pack(response)) if await _read_ahead(response) else (lambda: b"")


async def _read_ahead(response: Response) -> bool:
    """Whether the whole body is there now; a larger one goes on as a stream."""
    if response.stream is None:
        return len(response.body) <= LARGEST_KEPT
    rest, chunks, length = response.stream, [], 0
    async for chunk in rest:
        chunks.append(chunk)
        length += len(chunk)
        if length > LARGEST_KEPT:
            response.stream = _joined(chunks, rest)
            return False
    response.close()
    response.body = b"".join(chunks)
    return True


async def _joined(chunks: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    async for chunk in rest:
        yield chunk


def _away() -> Refusal:
    detail = "keyed requests cannot be guarded now, so this one was not carried out; try again"
    return Refusal(503, detail, reason="store-away", headers={"retry-after": "1"})
