"""YAML text to nodes, from PyYAML's events: bounded in size, depth and aliases, and without YAML's surprises.

Not yaml.compose(): it recurses without a bound, cannot tell an explicit tag from a guessed one, and lets the
last of two equal keys win in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import yaml
from yaml import events as ev

from cloudlet.errors import Problem, StackError
from cloudlet.stack import nodes
from cloudlet.stack.findings import in_file_order, problem
from cloudlet.stack.syntax import explain

#: characters; a thousand services take a tenth of it
MAX_TEXT = 1_000_000
MAX_DEPTH = 40
#: nodes after aliases are expanded
MAX_NODES = 50_000
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


def read(text: str, file: str) -> nodes.Mapping:
    """The file's one mapping. Raises StackError."""
    if len(text) > MAX_TEXT:
        message = f"the file has {len(text)} characters, more than {MAX_TEXT}"
        raise StackError([problem(file, None, message, "split the system into several stacks")])
    reader = _Reader(file, yaml.parse(text, Loader=yaml.SafeLoader))
    try:
        root = reader.document()
    except _Stop:
        root = None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reader.problems.append(explain(error, text, file))
        root = None
    if root is None or reader.problems:
        raise StackError(in_file_order(reader.problems))
    return root


class _Stop(Exception):
    """Reading on is pointless or dangerous; why is in `problems`."""


class _Reader:
    """Builds nodes from events, and collects what is wrong with them."""

    def __init__(self, file: str, events: Iterator[ev.Event]) -> None:
        self._file = file
        self._events = events
        #: an anchor's node and its size; None while it is being read
        self._anchors: dict[str, tuple[nodes.Node, int] | None] = {}
        self._count = 0
        self.problems: list[Problem] = []

    def document(self) -> nodes.Mapping | None:
        next(self._events)
        first = next(self._events)
        if isinstance(first, ev.StreamEndEvent):
            message = "the file is empty"
            self.problems.append(problem(self._file, None, message, "`cloudlet init` writes one to start from"))
            return None
        root = self._node(next(self._events), 1)
        next(self._events)
        after = next(self._events)
        if not isinstance(after, ev.StreamEndEvent):
            message = "a second document begins here; a stack is one document"
            self._refuse(_mark(after), message, "remove this `---`")
        if isinstance(root, nodes.Mapping):
            return root
        self._refuse(root.mark, "the file holds no keys", "begin with `name: NAME`")
        return None

    def _node(self, event: ev.Event, depth: int) -> nodes.Node:
        before = self._count
        self._spend(event, 1)
        if depth > MAX_DEPTH:
            self._stop(event, f"more than {MAX_DEPTH} levels deep", "nest less")
        if isinstance(event, ev.AliasEvent):
            return self._alias(event)
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if tag is not None:
            fix = "remove it; a value is what its key makes it"
            self._refuse(_mark(event), f'the tag "{tag}" is not allowed', fix)
        if anchor is not None:
            self._anchors[anchor] = None
        node = self._content(event, depth)
        if anchor is not None:
            self._anchors[anchor] = (node, self._count - before)
        return node

    def _content(self, event: ev.Event, depth: int) -> nodes.Node:
        if isinstance(event, ev.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, ev.SequenceStartEvent):
            return nodes.Sequence(_mark(event), tuple(self._items(depth)))
        return self._mapping(event, depth)

    def _alias(self, event: ev.AliasEvent) -> nodes.Node:
        name = str(event.anchor)
        anchored = self._anchors.get(name)
        if anchored is None:
            reason = "is used inside itself" if name in self._anchors else "is not defined above"
            self._stop(event, f'the anchor "{name}" {reason}', "write the value out")
        self._spend(event, anchored[1])
        return anchored[0]

    def _scalar(self, event: ev.ScalarEvent) -> nodes.Scalar:
        text: str = event.value
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            message = "the value holds a character that no program can be given"
            self._refuse(_mark(event), message, "remove the escape")
            text = ""
        is_null = event.style is None and text in _NULLS
        return nodes.Scalar(_mark(event), None if is_null else text, text, bare=event.style is None)

    def _items(self, depth: int) -> Iterator[nodes.Node]:
        while not isinstance(event := next(self._events), ev.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, start: ev.Event, depth: int) -> nodes.Mapping:
        """Keys in the file's order; those merged by `<<` give way to those written."""
        written: nodes.Entries = {}
        merged: nodes.Entries = {}
        while not isinstance(event := next(self._events), ev.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, nodes.Scalar):
                self._refuse(key.mark, "a key must be plain text", 'quote what holds braces: "{port}"')
            elif key.written == "<<" and getattr(event, "style", "") is None:
                self._merge(merged, value)
            elif key.written in written:
                first = written[key.written][0].line
                message = f'the key "{key.written}" is here twice, first on line {first}'
                self._refuse(key.mark, message, "keep one of them")
            else:
                written[key.written] = (key.mark, value)
        return nodes.Mapping(_mark(start), {**merged, **written})

    def _merge(self, into: nodes.Entries, value: nodes.Node) -> None:
        sources = value.items if isinstance(value, nodes.Sequence) else (value,)
        for source in sources:
            if isinstance(source, nodes.Mapping):
                for key, entry in source.entries.items():
                    into.setdefault(key, entry)
            else:
                self._refuse(source.mark, "`<<` merges mappings only", "write `<<: *name`")

    def _spend(self, event: ev.Event, count: int) -> None:
        self._count += count
        if self._count > MAX_NODES:
            message = f"more than {MAX_NODES} values, aliases expanded"
            self._stop(event, message, "use fewer aliases or split the system")

    def _refuse(self, mark: nodes.Mark, message: str, fix: str) -> None:
        self.problems.append(problem(self._file, mark, message, fix))

    def _stop(self, event: ev.Event, message: str, fix: str) -> NoReturn:
        self._refuse(_mark(event), message, fix)
        raise _Stop


def _mark(event: ev.Event) -> nodes.Mark:
    start = event.start_mark
    assert start is not None, "every event that is parsed from text has its place"
    return nodes.Mark(start.line + 1, start.column + 1)
