"""Who is buying: asked of the users service, through the address the edge gives it.

The edge picks a healthy instance of users; what it cannot repair (its own restart) is tried again here,
which is safe because verifying changes nothing.
"""

from __future__ import annotations

import asyncio

import httpx
from shared.app import HTTPError

#: seconds between attempts; one more attempt than there are pauses
PAUSES = (0.05, 0.2, 0.5)


class Buyers:
    """Keeps connections to the users service open between questions."""

    def __init__(self, users_url: str) -> None:
        self._client = httpx.AsyncClient(base_url=users_url, timeout=5.0, trust_env=False)

    async def verify(self, authorization: str | None) -> str:
        """The buyer's name. Raises HTTPError 401 when the token does not hold, 503 when nobody can say."""
        if not authorization:
            raise HTTPError(401, "sign in first", {"www-authenticate": "Bearer"})
        answer = await self._ask(authorization)
        if answer is None or answer.status_code >= 500:
            raise HTTPError(503, "nobody can say who you are just now; please try again", {"retry-after": "1"})
        if answer.status_code != 200:
            raise HTTPError(401, "sign in again", {"www-authenticate": "Bearer"})
        return str(answer.json()["name"])

    async def _ask(self, authorization: str) -> httpx.Response | None:
        answer = None
        for pause in (*PAUSES, None):
            try:
                answer = await self._client.get("/verify", headers={"authorization": authorization})
                if answer.status_code not in (502, 503, 504):
                    return answer
            except httpx.TransportError:
                answer = None
            if pause is not None:
                await asyncio.sleep(pause)
        return answer

    async def close(self) -> None:
        await self._client.aclose()
