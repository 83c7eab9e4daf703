"""The control API's part for API keys. Whoever asks is known by the socket's peer credentials (unix(7)).

GET  /v1/keys              every key, never a secret
POST /v1/keys              issue: {user, roles, scopes, lifetime} → the key's text, once
POST /v1/keys/ID/rotate    {overlap}, in seconds → the new text
POST /v1/keys/ID/revoke    refused from the answer on
"""

from __future__ import annotations

import socket
import struct
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from cloudlet.errors import OperatorError, Refused

if TYPE_CHECKING:
    from cloudlet.control.system import System

#: struct ucred: process, user, group
_CREDENTIALS = struct.Struct("3i")
_Wish = TypeVar("_Wish")


@dataclass(frozen=True, slots=True)
class _Issue:
    user: str
    roles: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    lifetime: float | None = None


@dataclass(frozen=True, slots=True)
class _Rotate:
    overlap: float = 0.0


class _Keys:
    def __init__(self, system: System) -> None:
        self._system = system

    async def listed(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [asdict(key) for key in self._system.keys.listed()]})

    async def issue(self, request: web.Request) -> web.Response:
        if self._system.desired.stack.identity.api_keys is None:
            raise Refused("the file takes no API keys; add `identity: {api_keys: true}` and run `cloudlet up`")
        wish = await _wish(request, _Issue)
        issued = await self._system.keys.issue(wish.user, wish.roles, wish.scopes, wish.lifetime, _uid(request))
        return web.json_response(asdict(issued))

    async def rotate(self, request: web.Request) -> web.Response:
        wish = await _wish(request, _Rotate)
        return web.json_response(
            asdict(await self._system.keys.rotate(request.match_info["id"], wish.overlap, _uid(request)))
        )

    async def revoke(self, request: web.Request) -> web.Response:
        await self._system.keys.revoke(request.match_info["id"], _uid(request))
        return web.json_response({"revoked": request.match_info["id"]})


def key_routes(system: System) -> list[web.RouteDef]:
    keys = _Keys(system)
    return [
        web.get("/v1/keys", keys.listed),
        web.post("/v1/keys", keys.issue),
        web.post("/v1/keys/{id}/rotate", keys.rotate),
        web.post("/v1/keys/{id}/revoke", keys.revoke),
    ]


async def _wish(request: web.Request, kind: type[_Wish]) -> _Wish:
    try:
        body: Any = await request.json() if request.can_read_body else {}
        return TypeAdapter(kind).validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise OperatorError(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg'].lower()}") from error
    except ValueError as error:
        raise OperatorError(f"the body is not JSON: {error}") from error


def _uid(request: web.Request) -> int:
    transport = request.transport
    peer = transport.get_extra_info("socket") if transport is not None else None
    if peer is None:
        raise Refused("whoever asked has gone")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])
