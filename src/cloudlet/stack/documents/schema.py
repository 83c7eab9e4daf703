"""A JSON Schema (2020-12 unless it says otherwise), compiled. `format` is checked, as whoever writes it expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from cloudlet.stack.documents.reading import Unusable, read, retriever

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: steps of a pattern with look-around on one text, before it counts as not matching
_BACKTRACKS = 100_000
_LONGEST_DETAIL = 200
_FIX = "correct the schema or its $ref"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One place where a value does not fit; `path` leads to it."""

    path: tuple[str | int, ...]
    detail: str


class Schema:
    """Checks values. Construct by `load` or `within`."""

    def __init__(self, schema: Any, base: Path, folder: Path, name: str) -> None:
        """`name` is how problems call it. Raises Unusable for what is no schema, and for a `$ref` that leads away."""
        try:
            self._validator = jsonschema_rs.validator_for(
                schema,
                base_uri=base.resolve().as_uri(),
                retriever=retriever(folder),
                validate_formats=True,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS),
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            # what the retriever said stands at the end of what is said about it
            raise Unusable(f"{name}: {_short(error.message.rpartition('Unusable: ')[2])}", _FIX) from error
        except ValueError as error:
            raise Unusable(f"{name}: {_short(str(error))}", _FIX) from error

    @classmethod
    def load(cls, path: Path) -> Schema:
        return cls(read(path), path, path.parent, path.name)

    @classmethod
    def within(cls, uri: str, pointer: str, folder: Path, base: Path) -> Schema:
        """The schema at a JSON pointer (as a URI fragment) of another document."""
        root = {"$schema": _DIALECT, "$ref": f"{uri}#{pointer}"}
        return cls(root, base.with_name(".cloudlet-root"), folder, f"{base.name}#{unquote(pointer)}")

    def mismatches(self, value: Any) -> Iterator[Mismatch]:
        try:
            for error in self._validator.iter_errors(value):
                yield Mismatch(tuple(error.instance_path), _short(error.message))
        except ValueError as error:
            yield Mismatch((), _short(str(error)))

    def fits(self, value: Any) -> bool:
        return next(self.mismatches(value), None) is None


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST_DETAIL else f"{message[:_LONGEST_DETAIL]}…"
