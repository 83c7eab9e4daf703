"""The users: who they are, and how the other services find out.

POST   /api/users             {"name", "password"}: sign up
POST   /api/users/sessions    {"name", "password"}: sign in, answers a token
DELETE /api/users/sessions    sign out
GET    /api/users/me          who the token belongs to
GET    /verify                the same for other services; the gateway has no route here
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from accounts import Accounts
from shared.app import App, HTTPError, Request, Response
from shared.cache import Cache
from shared.database import Database
from shared.fields import text

database = Database(os.environ["SHOP_DB_URL"])
cache = Cache(os.environ["SESSIONS_URL"])
accounts = Accounts(
    database,
    cache,
    key=os.environ["TOKEN_KEY"].encode(),
    lifetime=int(os.environ.get("TOKEN_LIFETIME", "3600")),
    admins=frozenset(os.environ.get("ADMINS", "").split()),
)


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    await database.migrate(Path(__file__).with_name("schema.sql"))
    yield
    await cache.close()
    await database.close()


app = App(lifespan)


@app.route("POST", "/api/users")
async def sign_up(request: Request) -> Response:
    name, password = _credentials(await request.json())
    await accounts.sign_up(name, password)
    return Response({"name": name}, 201)


@app.route("POST", "/api/users/sessions")
async def sign_in(request: Request) -> Response:
    name, password = _credentials(await request.json())
    return Response({"name": name, "token": await accounts.sign_in(name, password)}, 201)


@app.route("DELETE", "/api/users/sessions")
async def sign_out(request: Request) -> Response:
    await accounts.sign_out(_token(request))
    return Response(status=204)


@app.route("GET", "/api/users/me")
@app.route("GET", "/verify")
async def who(request: Request) -> Response:
    claims = await accounts.verify(_token(request))
    return Response({"name": claims["sub"], "roles": claims["roles"], "expires": claims["exp"]})


def _credentials(body: dict[str, Any]) -> tuple[str, str]:
    name = text(body, "name", r"[a-z0-9-]{3,32}", "3 to 32 lower-case letters, digits and hyphens")
    return name, text(body, "password", r"[^\x00\ud800-\udfff]{8,128}", "8 to 128 characters long")


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HTTPError(401, "sign in first", {"www-authenticate": "Bearer"})
    return token
