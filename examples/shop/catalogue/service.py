"""The catalogue: what there is to buy.

GET /api/products         every product with its stock
GET /api/products/{id}    one of them
PUT /api/products/{id}    {"price"}, in cents; the gateway lets only administrators through
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from products import Products
from shared.app import App, HTTPError, Request, Response
from shared.cache import Cache
from shared.database import Database
from shared.fields import integer

database = Database(os.environ["SHOP_DB_URL"])
cache = Cache(os.environ["SESSIONS_URL"])
products = Products(database, cache)


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    await database.migrate(Path(__file__).with_name("schema.sql"))
    yield
    await cache.close()
    await database.close()


app = App(lifespan)


@app.route("GET", "/api/products")
async def list_products(request: Request) -> Response:
    found, cached = await products.all()
    # so that whoever is in between may keep it for a moment: the gateway's cache, and its last good answer
    return Response({"products": found}, headers=_said_by_cache(cached) | {"cache-control": "max-age=1"})


@app.route("GET", "/api/products/{id}")
async def show_product(request: Request) -> Response:
    product = request.parameters["id"]
    if not re.fullmatch(r"[a-z0-9-]{1,40}", product):
        raise HTTPError(400, "a product is named by lower-case letters, digits and hyphens")
    found, cached = await products.one(product)
    if found is None:
        raise HTTPError(404, f"there is no product {product}")
    return Response(found, headers=_said_by_cache(cached))


@app.route("PUT", "/api/products/{id}")
async def change_price(request: Request) -> Response:
    price = integer(await request.json(), "price", 1, 1_000_000)
    found = await products.change_price(request.parameters["id"], price)
    if found is None:
        raise HTTPError(404, f"there is no product {request.parameters['id']}")
    return Response(found)


def _said_by_cache(cached: bool) -> dict[str, str]:
    return {"x-cache": "hit" if cached else "miss"}
