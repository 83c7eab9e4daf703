"""From a file to a design, or to every reason why it is none.

text → nodes → environment filled in → planned keys taken out → models → rules

Each step reports and goes on where it can: what does not fit its model is set aside, and the rules still look
at the rest, so that one run names as many problems as possible. Of findings about a value the first is kept.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cloudlet.errors import Problem, StackError
from cloudlet.stack import document, nodes, planned
from cloudlet.stack.findings import Finding, place
from cloudlet.stack.interpolate import interpolate
from cloudlet.stack.rules import Design, examine
from cloudlet.stack.stack import Stack
from cloudlet.stack.translate import translate

#: how deep the parts are that can be set aside one by one; everywhere else the whole section is
_DEPTHS: Mapping[nodes.Path, int] = {
    ("services",): 2,
    ("databases",): 2,
    ("caches",): 2,
    ("edge", "listeners"): 3,
}


def load(path: Path) -> Stack:
    """The design in the file. Raises StackError, also when it cannot be read."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise _unreadable(
            path, "there is no such file", "`cloudlet init` writes one; `-f FILE` names another"
        ) from error
    except IsADirectoryError as error:
        raise _unreadable(path, "this is a folder", "name the file in it: -f FOLDER/cloudlet.yaml") from error
    except UnicodeDecodeError as error:
        message = f"the byte 0x{error.object[error.start]:02x} at offset {error.start} is not UTF-8"
        raise _unreadable(path, message, "save the file as UTF-8") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _unreadable(path, f"it cannot be read: {reason}", "check the file and its permissions") from error
    return parse(text, path)


def parse(text: str, file: Path) -> Stack:
    """The design in the text, as if it stood in `file`, which need not exist. Raises StackError."""
    shown, file = str(file), Path(os.path.abspath(file))  # noqa: PTH100  (keeps symbolic links)
    tree, findings = interpolate(document.read(text, shown), os.environ)
    data = nodes.plain(tree)
    findings += planned.take_out(data)
    fitting = _fit(data, tree, file.parent)
    findings += _new(fitting.refused, findings)
    if fitting.stack is not None:
        fitting.stack.remember(file, shown, text, tree)
        design = Design(fitting.stack, tree, fitting.skipped)
        findings += _new(examine(design), findings)
    if findings or fitting.stack is None:
        raise StackError(place(findings, tree, shown))
    return fitting.stack


def _new(found: Iterable[Finding], known: list[Finding]) -> list[Finding]:
    """Those about values that nothing was said about yet, nor about what is in or around them."""
    said = {finding.path for finding in known}
    around = {path[:length] for path in said for length in range(len(path))}
    return [finding for finding in found if finding.path not in around and not _within(finding.path, said)]


def _within(path: nodes.Path, said: set[nodes.Path]) -> bool:
    return any(path[:length] in said for length in range(len(path) + 1))


@dataclass(frozen=True, slots=True)
class _Fitting:
    """What fits the models, why the rest does not, and which routes are left out."""

    stack: Stack | None
    refused: list[Finding]
    skipped: frozenset[int] = frozenset()


def _fit(data: Any, tree: nodes.Node, directory: Path) -> _Fitting:
    context = {"directory": directory}
    try:
        return _Fitting(Stack.model_validate(data, context=context), [])
    except ValidationError as error:
        refused = translate(error, tree)
        paths = [detail["loc"] for detail in error.errors(include_url=False)]
    rest, skipped = _without(data, paths)
    try:
        return _Fitting(Stack.model_validate(rest, context=context), refused, skipped)
    except ValidationError:
        return _Fitting(None, refused)


def _without(data: Any, paths: Iterable[nodes.Path]) -> tuple[Any, frozenset[int]]:
    """The data without every part that one of the paths leads into; routes keep their places by number."""
    rest = copy.deepcopy(data)
    skipped: set[int] = set()
    for path in paths:
        if path[:2] == ("gateway", "routes") and len(path) > 2 and isinstance(path[2], int):
            skipped.add(path[2])
        else:
            _remove(rest, path[: _DEPTHS.get(path[:2], _DEPTHS.get(path[:1], 1))])
    if skipped and "gateway" in rest:
        routes = rest["gateway"]["routes"]
        rest["gateway"]["routes"] = [route for at, route in enumerate(routes) if at not in skipped]
    rest.setdefault("name", "unnamed")
    return rest, frozenset(skipped)


def _remove(data: Any, path: nodes.Path) -> None:
    for step in path[:-1]:
        data = data.get(step) if isinstance(data, dict) else None
    if isinstance(data, dict):
        data.pop(path[-1], None)


def _unreadable(path: Path, message: str, fix: str) -> StackError:
    return StackError([Problem(str(path), 0, 0, message, fix)])
