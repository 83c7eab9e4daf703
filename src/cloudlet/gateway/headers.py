"""Header fields in their order. Names are lower case; values are text whose bytes come back as they were."""

from __future__ import annotations

from collections.abc import Iterable

#: between two hops only (RFC 9110, 7.6.1); `te` and `trailer` announce what is not passed on
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class Headers:
    """Fields of one message. `items` may be read, and is changed only by the methods."""

    __slots__ = ("items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self.items: list[tuple[str, str]] = list(items)

    @classmethod
    def received(cls, raw: Iterable[tuple[bytes, bytes]]) -> Headers:
        return cls([(name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")) for name, value in raw])

    def sent(self) -> list[tuple[bytes, bytes]]:
        return [(name.encode("latin-1"), value.encode("utf-8", "surrogateescape")) for name, value in self.items]

    def get(self, name: str, default: str = "") -> str:
        """All its values as one, joined by commas (RFC 9110, 5.3)."""
        found = [value for key, value in self.items if key == name]
        return ", ".join(found) if found else default

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.items if key == name]

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.items)

    def set(self, name: str, value: str) -> None:
        self.remove(name)
        self.items.append((name, value))

    def add(self, name: str, value: str) -> None:
        self.items.append((name, value))

    def remove(self, *names: str) -> None:
        self.items = [item for item in self.items if item[0] not in names]

    def copy(self) -> Headers:
        return Headers(self.items)

    def add_vary(self, *names: str) -> None:
        """Say that the answer depends on these request headers too (RFC 9110, 12.5.5)."""
        there = {name.strip().lower() for name in self.get("vary").split(",")}
        missing = [name for name in names if name.lower() not in there]
        if missing and "*" not in there:
            self.items.append(("vary", ", ".join(missing)))

    def end_to_end(self) -> Headers:
        """Without what holds for one hop, what `Connection` names, and what only the edge may say."""
        named = {name.strip().lower() for name in self.get("connection").split(",")}
        drop = HOP_BY_HOP | named
        return Headers([item for item in self.items if item[0] not in drop and not item[0].startswith("cloudlet-")])
