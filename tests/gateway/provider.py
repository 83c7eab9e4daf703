"""Keys, tokens, and a provider of keys and answers that counts what it is asked."""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from joserfc import jwk, jws
from joserfc.errors import SecurityWarning


class Anything(jws.JWSRegistry):
    """Signs with whatever is asked of it."""

    def get_alg(self, name: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            return self.algorithms[name]


def signed(claims: dict[str, Any], key: Any, algorithm: str, **header: Any) -> str:
    """A token as anybody could make it."""
    registry = Anything(algorithms=list(jws.JWSRegistry.algorithms), strict_check_header=False)
    return jws.serialize_compact({"alg": algorithm, **header}, json.dumps(claims), key, registry=registry)


def good(**changes: Any) -> dict[str, Any]:
    """Claims that are in order."""
    now = int(time.time())
    return {"iss": "https://issuer", "aud": "shop", "sub": "ann", "iat": now, "exp": now + 60, **changes}


def public_pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem: bytes = key.public_key.public_bytes(serialization.Encoding.PEM, form)
    return pem


def private_pem(key: Any) -> str:
    form = serialization.PrivateFormat.PKCS8
    nothing = serialization.NoEncryption()
    return str(key.private_key.private_bytes(serialization.Encoding.PEM, form, nothing).decode())


def key_set(*keys: Any) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def named(kind: str, size: Any, kid: str) -> Any:
    return jwk.generate_key(kind, size, {"kid": kid})


class Provider:
    """Answers every path with what stands in `answers`: a value as JSON, or (status, bytes)."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def start(self) -> Provider:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def _answer(self, request: web.Request) -> web.Response:
        form = {str(name): str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.path, form, dict(request.headers)))
        await self.go_on.wait()
        found = self.answers.get(request.path, (404, b""))
        if isinstance(found, tuple):
            status, body = found
            headers = {"Location": "/elsewhere"} if status in (301, 302, 307) else {}
            return web.Response(status=status, body=body, headers=headers)
        return web.json_response(found)

    async def stop(self) -> None:
        self.go_on.set()
        await self._runner.cleanup()
