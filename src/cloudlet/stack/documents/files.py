"""Every file that the gateway service reads for a route: the ones it names, and those that these refer to. A changed
one is a new revision of the service, and whoever runs it must be able to read them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from cloudlet.stack.gateway import Route


def files(route: Route) -> list[Path]:
    """In no file's order twice; what cannot be read refers to nothing."""
    static = route.fallback.static.file if route.fallback and route.fallback.static else None
    named = (static, route.grpc.descriptors if route.grpc else None)
    documents = (route.accept.json_schema, route.accept.openapi)
    found = [path for path in named if path is not None]
    for path in documents:
        _follow(path, found) if path is not None else None
    return list(dict.fromkeys(found))


def _follow(path: Path, found: list[Path]) -> None:
    """Adds the document and all that it refers to."""
    from cloudlet.stack.documents.reading import Unusable, read  # noqa: PLC0415  (only files with documents pay for it)

    waiting = [path]
    while waiting:
        document = waiting.pop()
        if document in found:
            continue
        found.append(document)
        try:
            content = read(document)
        except Unusable:
            continue
        waiting += _references(content, document.absolute().as_uri())


def _references(content: Any, uri: str) -> Iterator[Path]:
    """The files that any `$ref` within leads to."""
    level = [content]
    while level:
        item = level.pop()
        if isinstance(item, dict):
            reference = item.get("$ref")
            target = urlsplit(urldefrag(urljoin(uri, reference))[0]) if isinstance(reference, str) else None
            if target is not None and target.scheme == "file":
                yield Path(unquote(target.path))
            level.extend(item.values())
        elif isinstance(item, list):
            level.extend(item)
