"""Places in documents, and `$ref` from one to the other (Reference Objects; those of schemas the validator follows)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin

from cloudlet.stack.documents.reading import Unusable, read, retriever
from cloudlet.stack.documents.schema import Schema

_LONGEST_CHAIN = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A value and where it stands: the document's URI and a JSON pointer, percent-encoded."""

    root: Path
    uri: str
    pointer: str
    value: Any
    document: Any

    @classmethod
    def of(cls, path: Path) -> Place:
        document = read(path)
        return cls(path, path.resolve().as_uri(), "", document, document)

    def at(self, step: str | int) -> Place:
        pointer = f"{self.pointer}/{quote(str(step).replace('~', '~0').replace('/', '~1'), safe='~')}"
        return Place(self.root, self.uri, pointer, self.value[step], self.document)

    def get(self, step: str) -> Place | None:
        """What stands below the key; Unusable where this is no object at all."""
        if not isinstance(self.value, dict):
            raise Unusable(f"{self.root.name}#{unquote(self.pointer)} should be an object", "correct the document")
        return self.at(step) if self.value.get(step) is not None else None

    def followed(self) -> Place:
        """Itself, or what its `$ref` leads to."""
        place = self
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(place.value, dict):
                raise Unusable(f"{self.root.name}#{unquote(place.pointer)} should be an object", "correct the document")
            if "$ref" not in place.value:
                return place
            place = place._target(str(place.value["$ref"]))
        raise Unusable(f"{self.root.name}#{unquote(self.pointer)}: $ref leads in a circle", "correct the $ref")

    def schema(self) -> Schema:
        return Schema.within(self.uri, self.pointer, self.root.parent, self.root)

    def _target(self, reference: str) -> Place:
        uri, fragment = urldefrag(urljoin(self.uri, reference))
        document = self.document if uri == self.uri else retriever(self.root.parent)(uri)
        place = Place(self.root, uri, "", document, document)
        try:
            for step in unquote(fragment).split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                place = place.at(int(name) if isinstance(place.value, list) else name)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise Unusable(f"{self.root.name}: $ref {reference} leads nowhere", "correct the $ref") from error
        return place
