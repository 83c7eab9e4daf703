"""Placing an order: one transaction that takes from the stock and records the order, or does neither.

Never sold twice: the stock is lowered only where enough is left, and the row's lock makes buyers queue.
Never ordered twice: (buyer, key) is unique, so a second request with the same key waits for the first and
then finds its order. The insert comes first, so that the one row that all buyers fight for is locked as
briefly as possible.
"""

from __future__ import annotations

from typing import Any

from shared.app import HTTPError
from shared.database import Connection

_INSERT = """
    insert into orders (id, buyer, idempotency_key, product, quantity, total)
    select %(id)s, %(buyer)s, %(key)s, id, %(quantity)s, price * %(quantity)s
    from products where id = %(product)s
    on conflict (buyer, idempotency_key) do nothing
    returning id
"""
_TAKE = """
    update products set stock = stock - %(quantity)s where id = %(product)s and stock >= %(quantity)s
    returning stock
"""
_COLUMNS = "id::text, product, quantity, total, placed_at::text"


async def place(connection: Connection, order: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The order as recorded, and whether it is new. `order` has id, buyer, key, product and quantity."""
    if await (await connection.execute(_INSERT, order)).fetchone() is None:
        present = await _with_key(connection, order)
        if present is None:
            raise HTTPError(422, f"there is no product {order['product']}")
        return present, present["id"] == order["id"]  # ours when this runs again after a lost COMMIT
    left = await (await connection.execute(_TAKE, order)).fetchone()
    if left is None:
        raise HTTPError(409, f"not enough of {order['product']} is left")  # and the insert is rolled back
    placed = await one(connection, order["buyer"], order["id"])
    assert placed is not None
    return placed | {"stock": left["stock"]}, True


async def _with_key(connection: Connection, order: dict[str, Any]) -> dict[str, Any] | None:
    query = f"select {_COLUMNS} from orders where buyer = %(buyer)s and idempotency_key = %(key)s"
    found = await (await connection.execute(query, order)).fetchone()
    if found and (found["product"], found["quantity"]) != (order["product"], order["quantity"]):
        raise HTTPError(422, "this Idempotency-Key was used for a different order")
    return found


async def one(connection: Connection, buyer: str, order: str) -> dict[str, Any] | None:
    """The buyer's own order of this id."""
    query = f"select {_COLUMNS} from orders where buyer = %s and id = %s"
    return await (await connection.execute(query, (buyer, order))).fetchone()


async def latest(connection: Connection, buyer: str) -> list[dict[str, Any]]:
    """The buyer's twenty latest orders."""
    query = f"select {_COLUMNS} from orders where buyer = %s order by placed_at desc limit 20"
    return await (await connection.execute(query, (buyer,))).fetchall()
