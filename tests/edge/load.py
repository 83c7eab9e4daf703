"""Load for the tests: requests until told to stop, every outcome counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Tally:
    sent: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        return self.sent - self.outcomes["200"]


class Load:
    """`async with Load(url, clients) as tally`: the clients send until the block ends."""

    def __init__(self, url: str, clients: int = 16, method: str = "GET", *, numbered: bool = False) -> None:
        self._url, self._clients, self._method, self._numbered = url, clients, method, numbered
        self.tally = Tally()
        self._ending = False

    async def __aenter__(self) -> Tally:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        return self.tally

    async def __aexit__(self, *_: object) -> None:
        self._ending = True
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def _client(self) -> None:
        while not self._ending:
            self.tally.sent += 1
            body = str(self.tally.sent).encode() if self._numbered else None
            try:
                async with self._session.request(self._method, self._url, data=body) as answer:
                    await answer.read()
                    self.tally.outcomes[str(answer.status)] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.tally.outcomes[type(error).__name__] += 1
