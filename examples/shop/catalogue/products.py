"""The products: from the cache when it has them, else from the database, and then into the cache."""

from __future__ import annotations

from typing import Any

from shared.cache import Cache
from shared.database import Connection, Database

#: seconds that a shown stock may be old; an order always decides on the stock in the database
TTL = 2

_COLUMNS = "id, name, description, price, stock"


class Products:
    """Answers come with whether the cache had them."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database, self._cache = database, cache

    async def all(self) -> tuple[list[dict[str, Any]], bool]:
        if (cached := await self._cache.get("catalogue:all")) is not None:
            return cached, True

        async def read(connection: Connection) -> list[dict[str, Any]]:
            cursor = await connection.execute(f"select {_COLUMNS} from products order by position")
            return await cursor.fetchall()

        products = await self._database.run(read)
        await self._cache.set("catalogue:all", products, TTL)
        return products, False

    async def one(self, product: str) -> tuple[dict[str, Any] | None, bool]:
        key = f"catalogue:one:{product}"
        if (cached := await self._cache.get(key)) is not None:
            return cached, True

        async def read(connection: Connection) -> dict[str, Any] | None:
            cursor = await connection.execute(f"select {_COLUMNS} from products where id = %s", (product,))
            return await cursor.fetchone()

        found = await self._database.run(read)
        if found is not None:
            await self._cache.set(key, found, TTL)
        return found, False

    async def change_price(self, product: str, price: int) -> dict[str, Any] | None:
        """The product as it is now, None when there is none of that name; shown to everybody within `TTL`."""

        async def write(connection: Connection) -> dict[str, Any] | None:
            query = f"update products set price = %s where id = %s returning {_COLUMNS}"
            return await (await connection.execute(query, (price, product))).fetchone()

        changed = await self._database.run(write)
        for key in ("catalogue:all", f"catalogue:one:{product}"):
            await self._cache.delete(key)
        return changed
