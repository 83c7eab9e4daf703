"""The orders: placed once each, and never for more than there is.

POST /api/orders         {"product", "quantity"}; with an Idempotency-Key it may be sent again
GET  /api/orders         the buyer's latest
GET  /api/orders/{id}    one of the buyer's
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import placing
from buyers import Buyers
from shared.app import App, HTTPError, Request, Response
from shared.database import Database
from shared.fields import integer, text

database = Database(os.environ["SHOP_DB_URL"])
buyers = Buyers(os.environ["USERS_URL"])


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    await database.migrate(Path(__file__).with_name("schema.sql"))
    yield
    await buyers.close()
    await database.close()


app = App(lifespan)


@app.route("POST", "/api/orders")
async def place_order(request: Request) -> Response:
    buyer = await buyers.verify(request.headers.get("authorization"))
    body = await request.json()
    order = {
        # Chosen before the transaction, so that running it again after a lost COMMIT finds what it did.
        "id": str(uuid.uuid4()),
        "buyer": buyer,
        "key": _idempotency_key(request),
        "product": text(body, "product", r"[a-z0-9-]{1,40}", "the id of a product"),
        "quantity": integer(body, "quantity", 1, 10),
    }
    placed, new = await database.run(lambda connection: placing.place(connection, order))
    return Response(placed, 201 if new else 200, {"location": f"/api/orders/{placed['id']}"})


@app.route("GET", "/api/orders")
async def list_orders(request: Request) -> Response:
    buyer = await buyers.verify(request.headers.get("authorization"))
    return Response({"orders": await database.run(lambda connection: placing.latest(connection, buyer))})


@app.route("GET", "/api/orders/{id}")
async def show_order(request: Request) -> Response:
    buyer = await buyers.verify(request.headers.get("authorization"))
    try:
        order = str(uuid.UUID(request.parameters["id"]))
    except ValueError:
        raise HTTPError(400, "an order is named by a UUID") from None
    found = await database.run(lambda connection: placing.one(connection, buyer, order))
    if found is None:
        raise HTTPError(404, "you have no such order")
    return Response(found)


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key")
    if key is None:
        return str(uuid.uuid4())
    if not re.fullmatch(r"[\x21-\x7e]{1,128}", key):
        raise HTTPError(400, "an Idempotency-Key is 1 to 128 visible ASCII characters")
    return key
