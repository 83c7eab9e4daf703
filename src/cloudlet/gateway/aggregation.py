"""One answer from several services, asked at once, each with its own deadline.

What failed is null, and named with its reason in `X-Partial: customer;reason=timeout`; such an answer is never kept by
caches. A call's 404 is a failure like any other (`reason=status-404`): null says that nothing is there. A required
call that fails makes the whole fail: with its own status where that is about the client or the thing asked for (401,
403, 404, 410), else 502. So does a failure of every call.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudlet.gateway import json_text
from cloudlet.gateway.bodies import plain, read_json
from cloudlet.gateway.headers import Headers
from cloudlet.gateway.parameters import path_maker, reader
from cloudlet.gateway.problem import Refusal, Unanswered
from cloudlet.gateway.request import Handler, Request
from cloudlet.gateway.response import Response, TooLarge
from cloudlet.gateway.template import template
from cloudlet.gateway.upstream import Upstream
from cloudlet.stack.gateway.composition import Aggregate, Call

PARTIAL = "x-partial"
_PASSED_ON = frozenset({400, 401, 403, 404, 410, 422, 429})
#: of the client's request, not of the calls
_NOT_PASSED = (
    "content-type",
    "content-length",
    "transfer-encoding",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "idempotency-key",
)
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?=$|[\s,])")


@dataclass(slots=True)
class Outcome:
    """What became of a call; `reason` is empty for a good one."""

    value: Any = None
    reason: str = ""
    status: int = 200
    vary: str = ""
    cache_control: str = ""


def source(upstream: Upstream, route_path: str, design: Aggregate) -> Handler:
    """The handler of an aggregating route."""
    parameters = reader(route_path)
    makers = {name: path_maker(call.path) for name, call in design.calls.items()}
    fill = template({name: f"{{{name}}}" for name in design.calls} if design.answer is None else design.answer)

    async def handle(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "an aggregated answer is only read", reason="method", headers={"allow": "GET, HEAD"})
        values = parameters(request)
        asked = {name: _inner(request, *make(request, values)) for name, make in makers.items()}
        found = await asyncio.gather(*(_ask(upstream, design.calls[name], asked[name]) for name in asked))
        outcomes = dict(zip(asked, found, strict=True))
        _refuse_failed(design.calls, outcomes)
        body = json_text.dump(fill({name: outcome.value for name, outcome in outcomes.items()}, values))
        return Response(200, _headers(outcomes), body)

    return handle


def _inner(request: Request, path: str, query: str) -> Request:
    headers = request.headers.copy()
    headers.remove(*_NOT_PASSED)
    made = Request("GET", path, query, headers)
    plain(made)
    return made


async def _ask(upstream: Upstream, call: Call, request: Request) -> Outcome:
    try:
        async with asyncio.timeout(call.timeout):
            response = await upstream.ask(call.to, request)
            try:
                return await _outcome(response)
            finally:
                response.close()
    except TimeoutError:
        return Outcome(reason="timeout", status=504)
    except Unanswered as error:
        return Outcome(reason=error.why, status=error.status)
    except TooLarge:
        return Outcome(reason="too-large", status=502)


async def _outcome(response: Response) -> Outcome:
    if not 200 <= response.status < 300:
        return Outcome(reason=f"status-{response.status}", status=response.status)
    parsed = await read_json(response)
    value = parsed.value if parsed is not None else None
    if parsed is None and await response.read():
        return Outcome(reason="not-json", status=502)
    headers = response.headers
    return Outcome(value, vary=headers.get("vary"), cache_control=headers.get("cache-control"))


def _refuse_failed(calls: Mapping[str, Call], outcomes: Mapping[str, Outcome]) -> None:
    """Raises Unanswered when a required call failed, or all of them."""
    failed = {name: outcome for name, outcome in outcomes.items() if outcome.reason}
    for name, outcome in failed.items():
        if calls[name].required:
            status = outcome.status if outcome.status in _PASSED_ON else 502
            raise Unanswered(status, f"{name} failed ({outcome.reason}), and it is required", outcome.reason)
    if failed and len(failed) == len(calls):
        said = ", ".join(f"{name} ({outcome.reason})" for name, outcome in failed.items())
        raise Unanswered(502, f"every call failed: {said}", "broken")


def _headers(outcomes: Mapping[str, Outcome]) -> Headers:
    headers = Headers([("content-type", "application/json")])
    failed = ", ".join(f"{name};reason={outcome.reason}" for name, outcome in outcomes.items() if outcome.reason)
    if failed:
        headers.set(PARTIAL, failed)
    kept = "no-store" if failed else _cache_control([outcome.cache_control for outcome in outcomes.values()])
    if kept:
        headers.set("cache-control", kept)
    for outcome in outcomes.values():
        headers.add_vary(*filter(None, (name.strip() for name in outcome.vary.split(","))))
    return headers


def _cache_control(said: list[str]) -> str:
    """The strictest of what the calls' answers say; nothing where one says nothing."""
    if any(re.search(r"no-store|private|no-cache", text) for text in said):
        return "no-store"
    ages = [found for text in said if (found := _MAX_AGE.search(text))]
    return f"max-age={min(int(found[1]) for found in ages)}" if ages and len(ages) == len(said) else ""
