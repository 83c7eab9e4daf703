"""YAML text to nodes, from PyYAML's events: bounded in size, depth and aliases, and without YAML's surprises.

Not yaml.compose(): it recurses without a bound, cannot tell an explicit tag from a guessed one, and lets the
last of two equal keys win in silence.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from yaml import events as ev

from cloudlet.errors import Problem, StackError
from cloudlet.stack import nodes

#: characters; a thousand services take a quarter of it
MAX_TEXT = 1_000_000
MAX_DEPTH = 40
#: nodes after aliases are expanded
MAX_NODES = 50_000
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


def read(text: str, file: str) -> nodes.Mapping:
    """The file's one mapping. Raises StackError."""
    if len(text) > MAX_TEXT:
        raise _error(
            file, None, f"the file has {len(text)} characters, more than {MAX_TEXT}", "split the system"
        )
    try:
        return _Reader(file, yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from error
    except yaml.reader.ReaderError as error:
        mark = _mark_at(text, error.position)
        raise _error(
            file, mark, f"the character U+{_code(error):04X} is not allowed in YAML", "remove it"
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _error(file, None, f"this is not YAML: {error}") from error


class _Reader:
    """Builds nodes from events; every `_event` that opens something is built before the next one is read."""

    def __init__(self, file: str, events: Iterator[ev.Event]) -> None:
        self._file = file
        self._events = events
        self._anchors: dict[str, tuple[nodes.Node, int] | None] = {}
        self._problems: list[Problem] = []
        self._count = 0

    def document(self) -> nodes.Mapping:
        next(self._events)
        first = next(self._events)
        if isinstance(first, ev.StreamEndEvent):
            raise _error(self._file, None, "the file is empty", "`cloudlet init` writes one to start from")
        root = self._node(next(self._events), 1)
        next(self._events)
        after = next(self._events)
        if not isinstance(after, ev.StreamEndEvent):
            self._refuse(after, "a second document begins here; a stack is one document", "remove this `---`")
        if not isinstance(root, nodes.Mapping):
            self._problems.append(
                Problem(
                    self._file,
                    root.mark.line,
                    root.mark.column,
                    "the file holds no keys",
                    "begin with `name: NAME`",
                )
            )
        if self._problems:
            raise StackError(sorted(self._problems, key=lambda problem: (problem.line, problem.column)))
        assert isinstance(root, nodes.Mapping)
        return root

    def _node(self, event: ev.Event, depth: int) -> nodes.Node:
        self._spend(event, 1)
        if depth > MAX_DEPTH:
            raise _error(self._file, _mark(event), f"more than {MAX_DEPTH} levels deep", "nest less")
        if isinstance(event, ev.AliasEvent):
            return self._alias(event)
        assert isinstance(event, ev.NodeEvent)
        before = self._count - 1
        if event.anchor:
            self._anchors[event.anchor] = None
        if (tag := getattr(event, "tag", None)) is not None:
            self._refuse(
                event, f'the tag "{tag}" is not allowed', "remove it; a value is what its key makes it"
            )
        if isinstance(event, ev.ScalarEvent):
            node: nodes.Node = self._scalar(event)
        elif isinstance(event, ev.SequenceStartEvent):
            node = nodes.Sequence(_mark(event), tuple(self._items(depth)))
        else:
            node = self._mapping(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _alias(self, event: ev.AliasEvent) -> nodes.Node:
        anchored = self._anchors.get(event.anchor or "")
        if anchored is None:
            reason = "is used inside itself" if event.anchor in self._anchors else "is not defined above"
            raise _error(
                self._file, _mark(event), f'the anchor "{event.anchor}" {reason}', "write the value out"
            )
        self._spend(event, anchored[1])
        return anchored[0]

    def _scalar(self, event: ev.ScalarEvent) -> nodes.Scalar:
        text: str = event.value
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            self._refuse(
                event, "the value holds a character that no program can be given", "remove the escape"
            )
            text = ""
        is_null = event.style is None and text in _NULLS
        return nodes.Scalar(_mark(event), None if is_null else text, text)

    def _items(self, depth: int) -> Iterator[nodes.Node]:
        while not isinstance(event := next(self._events), ev.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, start: ev.Event, depth: int) -> nodes.Mapping:
        entries: dict[str, tuple[nodes.Mark, nodes.Node]] = {}
        merged: dict[str, tuple[nodes.Mark, nodes.Node]] = {}
        while not isinstance(event := next(self._events), ev.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, nodes.Scalar):
                self._refuse(
                    event, "a key must be plain text", 'for a placeholder in braces, quote it: "{port}"'
                )
            elif key.written == "<<" and isinstance(event, ev.ScalarEvent) and event.style is None:
                self._merge(merged, value)
            elif key.written in entries:
                self._duplicate(event, key.written, entries[key.written][0])
            else:
                entries[key.written] = (key.mark, value)
        return nodes.Mapping(_mark(start), {**merged, **entries})

    def _merge(self, into: dict[str, tuple[nodes.Mark, nodes.Node]], value: nodes.Node) -> None:
        sources = value.items if isinstance(value, nodes.Sequence) else (value,)
        for source in sources:
            if isinstance(source, nodes.Mapping):
                self._count += len(source.entries)
                for key, entry in source.entries.items():
                    into.setdefault(key, entry)
            else:
                self._problems.append(
                    Problem(
                        self._file,
                        value.mark.line,
                        value.mark.column,
                        "`<<` merges mappings only",
                        "write `<<: *name`",
                    )
                )

    def _duplicate(self, event: ev.Event, key: str, first: nodes.Mark) -> None:
        message = f'the key "{key}" is here twice, first on line {first.line}'
        self._refuse(event, message, "keep one of them")

    def _spend(self, event: ev.Event, count: int) -> None:
        self._count += count
        if self._count > MAX_NODES:
            message = f"more than {MAX_NODES} values, aliases expanded"
            raise _error(self._file, _mark(event), message, "use fewer aliases or split the system")

    def _refuse(self, event: ev.Event, message: str, fix: str) -> None:
        mark = _mark(event)
        self._problems.append(Problem(self._file, mark.line, mark.column, message, fix))


def _mark(event: ev.Event) -> nodes.Mark:
    start = event.start_mark
    assert start is not None, "every event that is parsed from text has its place"
    return nodes.Mark(start.line + 1, start.column + 1)


def _mark_at(text: str, position: int) -> nodes.Mark:
    line_start = text.rfind("\n", 0, position) + 1
    return nodes.Mark(text.count("\n", 0, position) + 1, position - line_start + 1)


def _code(error: yaml.reader.ReaderError) -> int:
    return ord(error.character) if isinstance(error.character, str) else int(error.character)


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> StackError:
    """What PyYAML says, in our words, with a fix for the mistakes that this file invites."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return _error(file, None, f"this is not YAML: {error}")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    context = f" {error.context}" if error.context else ""
    message = f"this is not YAML: {error.problem or 'unexpected text'}{context}"
    return _error(file, nodes.Mark(mark.line + 1, mark.column + 1), message, _syntax_fix(line))


def _syntax_fix(line: str) -> str:
    if "\t" in line:
        return "indent with spaces, never tabs"
    if line.count("{") > 1 or "${" in line:
        return 'put a value that holds braces in quotes: "${env:NAME}"'
    if line.count(": ") > 1:
        return "put a value that holds `: ` in quotes"
    return "compare the indentation and the quotes with the lines above"


def _error(file: str, mark: nodes.Mark | None, message: str, fix: str = "") -> StackError:
    line, column = (mark.line, mark.column) if mark else (0, 0)
    return StackError([Problem(file, line, column, message, fix)])
