"""The shop's page: one HTML file, sent with a policy that lets nothing but its own script and style run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.app import App, Request, Response

PAGE = Path(__file__).with_name("index.html").read_bytes()
ETAG = f'"{hashlib.sha256(PAGE).hexdigest()[:16]}"'


def _hashes(tag: bytes) -> str:
    """What a content security policy calls the inline elements of this tag that it allows."""
    found = re.findall(rb"<%s>(.*?)</%s>" % (tag, tag), PAGE, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(element).digest()).decode() for element in found)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


POLICY = (
    f"default-src 'none'; connect-src 'self'; img-src data:; script-src {_hashes(b'script')};"
    f" style-src {_hashes(b'style')}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    yield


app = App(lifespan)


@app.route("GET", "/")
async def page(request: Request) -> Response:
    headers = {"etag": ETAG, "cache-control": "no-cache", "content-security-policy": POLICY}
    if request.headers.get("if-none-match") == ETAG:
        return Response(status=304, headers=headers)
    headers |= {"content-type": "text/html; charset=utf-8", "x-content-type-options": "nosniff"}
    return Response(PAGE, headers=headers)
