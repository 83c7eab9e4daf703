"""Single requests through the gateway, each on a connection of its own."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit


def get(address: str, path: str = "/", timeout: float = 20) -> tuple[int, str]:
    """Status and body."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def answering(address: str, times: int, path: str = "/") -> set[str]:
    """The instances that answered so many requests one after the other; each must succeed."""
    answers = [get(address, path) for _ in range(times)]
    assert {status for status, _ in answers} == {200}, answers
    return {name for _, name in answers}
