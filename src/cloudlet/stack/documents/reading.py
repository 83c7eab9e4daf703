"""Reads documents: JSON or YAML, as large as people write them, and nothing beyond the folder of the first one.

YAML is read as JSON would be: no dates, no `yes`, no aliases, keys as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import yaml

#: bytes
_LARGEST = 4_000_000


class Unusable(Exception):
    """The document cannot be used; the text says why, and `fix` what to do."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


def read(path: Path) -> Any:
    """The document as JSON values. Raises Unusable."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}", "name a file beside cloudlet.yaml") from error
    if len(content) > _LARGEST:
        raise Unusable(f"{path} is larger than {_LARGEST // 1_000_000} MB", "split it")
    try:
        text = content.decode()
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)  # noqa: S506  (a safe one)
    except json.JSONDecodeError as error:
        raise Unusable(f"{path.name}:{error.lineno}:{error.colno}: {error.msg}", "correct the JSON") from error
    except yaml.YAMLError as error:
        raise Unusable(_yaml(path, error), "correct the YAML") from error
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{path.name} is neither JSON nor YAML in UTF-8", "correct the file") from error


def retriever(folder: Path) -> Callable[[str], Any]:
    """Finds what `$ref` names: files below the folder. Raises Unusable for everything else; nothing is fetched."""

    def retrieve(uri: str) -> Any:
        parts = urlsplit(uri)
        if parts.scheme != "file":
            raise Unusable(f"$ref {uri} is not a file: nothing is fetched from elsewhere", "keep a copy beside it")
        path = Path(unquote(parts.path)).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise Unusable(f"$ref {uri} leads out of {folder}", "keep the file below the document's folder")
        return read(path)

    return retrieve


def _yaml(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{path.name}:{mark.line + 1}:{mark.column + 1}" if mark else path.name
    return f"{place}: {getattr(error, 'problem', None) or error}"


class _Loader(yaml.SafeLoader):
    """Of scalars only what JSON has; keys are text (`200:` in responses); no aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not taken here; use $ref", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                key.tag = "tag:yaml.org,2002:str"
        made = cast("dict[Any, Any]", super().construct_mapping(node, deep))
        if len(made) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key stands here twice", node.start_mark)
        return made


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-][0-9]+)", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)
