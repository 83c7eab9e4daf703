"""Requests to an application of the gateway service, without the server around it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from cloudlet.gateway.headers import Headers
from cloudlet.gateway.request import Body, Request
from cloudlet.gateway.response import Response
from cloudlet.gateway.server import Application


async def ask(
    application: Application,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    *,
    secret: str = "",
) -> Response:
    path, _, query = target.partition("?")
    if secret:
        headers = {**(headers or {}), "authorization": f"Bearer {secret}"}
    fields = Headers((name.lower(), value) for name, value in (headers or {}).items())
    return await application.handle(Request(method, path, query, fields, Body(content=body)))


async def post_form(
    application: Application, target: str, form: dict[str, str], headers: dict[str, str] | None = None
) -> Response:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return await ask(application, "POST", target, {**kind, **(headers or {})}, urlencode(form).encode())


def read(response: Response) -> Any:
    return json.loads(response.body)
