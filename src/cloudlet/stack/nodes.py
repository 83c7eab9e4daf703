"""The file as a tree of nodes that remember where they stand.

A scalar keeps its text as written: `0123`, `1.10`, `no` and `2024-01-01` stay what the author typed, and the
model decides which is a number. So YAML's guesses (the Norway problem, octal, timestamps) cannot happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

#: keys and list positions from the top of the file
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """`text` is None for null. `written` is the text before `${env:NAME}` was filled in: the one to show.
    `bare` is without quotes, which counts only where any JSON value may stand."""

    mark: Mark
    text: str | None
    written: str
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    mark: Mark
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with their own marks."""

    mark: Mark
    entries: Entries


Node: TypeAlias = Scalar | Sequence | Mapping
Entries: TypeAlias = dict[str, tuple[Mark, Node]]


class Bare(str):
    """Text that was written without quotes, so that `5` may mean the number."""

    __slots__ = ()


def plain(node: Node) -> object:
    """The tree as dictionaries, lists, strings and None."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return Bare(node.text) if node.bare and node.text is not None else node.text


def find(node: Node, path: Path) -> Node | None:
    """The node at the path, if there is one."""
    for step in path:
        found = _child(node, step)
        if found is None:
            return None
        node = found[1]
    return node


def existing(node: Node, path: Path) -> Path:
    """The path, or where it ends early because a shorthand stands there, that one's."""
    while path and find(node, path) is None:
        path = path[:-1]
    return path


def locate(node: Node, path: Path, *, key: bool = False) -> Mark:
    """Where the value stands, or its key; for what is not there, the key of the innermost part that is."""
    mark = key_mark = node.mark
    for step in path:
        found = _child(node, step)
        if found is None:
            return key_mark
        key_mark, node = found
        mark = node.mark
    return key_mark if key else mark


def _child(node: Node, step: str | int) -> tuple[Mark, Node] | None:
    if isinstance(node, Mapping):
        return node.entries.get(str(step))
    if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
        return node.items[step].mark, node.items[step]
    return None
