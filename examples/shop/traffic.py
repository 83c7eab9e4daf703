"""Customers of the shop, as they come through the gateway, and the tally of how they fared."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx

#: how often an order is sent again before it counts as failed; its Idempotency-Key keeps it one order
ATTEMPTS = 6
#: seconds between two attempts
PAUSE = 0.5


@dataclass
class Tally:
    """What happened so far. `answers` counts by instance; a failure is a request that got no good answer."""

    placed: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sold_out: int = 0
    again: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        return self.failures.total()


class Customer:
    """Somebody who signs up, looks at the products and orders."""

    def __init__(self, client: httpx.AsyncClient, tally: Tally) -> None:
        self._client, self._tally = client, tally
        self._headers: dict[str, str] = {}

    async def sign_in(self) -> None:
        """Raises httpx.HTTPError when the shop does not let anybody in."""
        credentials = {"name": f"demo-{uuid.uuid4().hex[:12]}", "password": uuid.uuid4().hex}
        for path in ("/api/users", "/api/users/sessions"):
            answer = await self._client.post(path, json=credentials)
            answer.raise_for_status()
            self._tally.answers[answer.headers["x-served-by"]] += 1
        self._headers = {"authorization": f"Bearer {answer.json()['token']}"}

    async def shop(self) -> None:
        """Look once, order once."""
        looked = await self._ask("GET", "/api/products")
        if looked is None:
            return
        product = random.choice(looked.json()["products"])["id"]
        key = {"idempotency-key": uuid.uuid4().hex}
        answer = await self._ask("POST", "/api/orders", {"product": product, "quantity": 1}, key)
        if answer is not None and answer.status_code == 409:
            self._tally.sold_out += 1
        elif answer is not None:
            self._tally.placed.append((answer.json()["id"], self._headers))

    async def _ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response | None:
        """The answer, or None when there was no good one, even after asking an order again."""
        reason = ""
        for attempt in range(ATTEMPTS if method == "POST" else 1):
            if attempt:
                self._tally.again += 1
                await asyncio.sleep(PAUSE)
            try:
                answer = await self._client.request(method, path, json=body, headers=self._headers | (headers or {}))
            except httpx.TransportError as error:
                reason = type(error).__name__
                continue
            self._tally.answers[answer.headers.get("x-served-by", "the gateway itself")] += 1
            if answer.status_code in (200, 201, 409):
                return answer
            reason = str(answer.status_code)
        self._tally.failures[f"{method} {path}: {reason}"] += 1
        return None


async def send(
    client: httpx.AsyncClient, tally: Tally, customers: int, rate: float, enough: asyncio.Event, most: float
) -> None:
    """Let the customers shop, `rate` times a second together, until it is enough or `most` orders were tried.

    Raises httpx.HTTPError when the shop lets nobody in.
    """
    crowd = [Customer(client, tally) for _ in range(customers)]
    for customer in crowd:
        await customer.sign_in()
    visits = 0
    async with asyncio.TaskGroup() as shopping:
        while visits < most and not enough.is_set():
            shopping.create_task(crowd[visits % customers].shop())
            visits += 1
            await asyncio.sleep(1 / rate)


async def missing(client: httpx.AsyncClient, tally: Tally) -> int:
    """How many of the orders that were confirmed cannot be found again: 0, or something is badly wrong."""
    at_once = asyncio.Semaphore(8)

    async def lost(order: str, headers: dict[str, str]) -> bool:
        async with at_once:
            while True:
                answer = await client.get(f"/api/orders/{order}", headers=headers)
                if answer.status_code != 429:
                    return answer.status_code != 200
                await asyncio.sleep(float(answer.headers["retry-after"]))  # a long demo asks for a lot at its end

    return sum(await asyncio.gather(*(lost(*placed) for placed in tally.placed)))
