"""Fields of JSON bodies renamed, dropped, kept, added; a list is changed item by item.

A path such as `customer.name` leads through objects, and through lists to each of their items. In order: keep, drop,
rename, add, so that what is added stays. A body that is no JSON by its content type passes untouched; one that says it
is and is not cannot be changed, and goes no further: what should have been dropped might be in it.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable
from typing import Any

from cloudlet.gateway import json_text
from cloudlet.gateway.json_text import NotJson, is_json
from cloudlet.gateway.problem import Refusal, Unanswered
from cloudlet.gateway.request import Handler, Request, Step
from cloudlet.gateway.response import LARGEST_BODY, Response
from cloudlet.stack.gateway.shaping import Body, FieldChanges

Change = Callable[[Any], Any]


def change(changes: FieldChanges) -> Change | None:
    """What does the changes to a parsed body; None where there are none. The body is changed in place."""
    keep = _tree(changes.keep)
    drop = [_steps(path) for path in changes.drop]
    rename = [(_steps(old), _steps(new)) for old, new in changes.rename.items()]
    add = [(_steps(path), value) for path, value in changes.add.items()]
    if not (keep or drop or rename or add):
        return None

    def apply(value: Any) -> Any:
        if isinstance(value, list):
            return [apply(item) for item in value]
        if not isinstance(value, dict):
            return value
        made = _kept(value, keep) if keep else value
        for steps in drop:
            _take(made, steps)
        for old, new in rename:
            _move(made, old, new)
        for steps, content in add:
            _put(made, steps, content)
        return made

    return apply


def step(body: Body) -> Step | None:
    """The step of a route; None where it changes nothing."""
    request_change, response_change = change(body.request), change(body.response)
    if request_change is None and response_change is None:
        return None

    def wrap(then: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            if request_change is not None:
                await change_request(request, request_change)
            if response_change is None:
                return await then(request)
            plain(request)
            return await change_response(await then(request), response_change)

        return handle

    return wrap


def plain(request: Request) -> None:
    """Ask for an answer that can be read."""
    request.headers.remove("accept-encoding", "range", "if-range")
    request.headers.add("accept-encoding", "identity")


async def change_request(request: Request, apply: Change) -> None:
    if not is_json(request.headers.get("content-type")):
        _refuse_unclear(request)
        return
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "this route takes no encoded bodies", reason="content-encoding")
    content = await request.body.read()
    if not content:
        return
    try:
        json_text.refuse_many(content)
        value = json_text.parse(content)
    except NotJson as error:
        raise Refusal(400, f"the body is not JSON: {error.detail}", reason="malformed") from None
    request.replace_body(json_text.dump(apply(value)))


def _refuse_unclear(request: Request) -> None:
    """Without a content type, or with two, a service may read JSON where we did not. Raises Refusal (415)."""
    kinds = request.headers.all("content-type")
    if request.body.streamed and (len(kinds) != 1 or not kinds[0] or "," in kinds[0].partition(";")[0]):
        raise Refusal(415, "say the body's content type, once", reason="content-type")


async def change_response(response: Response, apply: Change) -> Response:
    """Raises Unanswered for a body that cannot be read."""
    value = await read_json(response)
    if value is not None:
        response.replace(json_text.dump(apply(value.value)))
    elif is_json(response.headers.get("content-type")):
        response.replace(b"")  # to HEAD: the length would be another
    return response


class Parsed:
    """A JSON value, which may be null."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


async def read_json(response: Response) -> Parsed | None:
    """The body of an answer; None for one that is no JSON or empty, which is left as it is."""
    if not is_json(response.headers.get("content-type")):
        return None
    content = _decoded(await response.read(), response)
    if not content:
        return None
    try:
        return Parsed(json_text.parse(content))
    except NotJson as error:
        raise Unanswered(502, f"the service's answer is not JSON: {error.detail}", "broken") from None


def _decoded(content: bytes, response: Response) -> bytes:
    """gzip although nobody asked for it is undone; anything else can't be."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity" or not content:
        return content
    if encoding not in ("gzip", "x-gzip"):
        raise Unanswered(502, f"the service's answer is encoded as {encoding}, which nobody asked for", "broken")
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        decoded = decoder.decompress(content, LARGEST_BODY)
    except zlib.error as error:
        raise Unanswered(502, "the service's answer is not the gzip that it says", "broken") from error
    if decoder.unconsumed_tail or not decoder.eof:
        raise Unanswered(502, "the service's answer is too large or ends early", "broken")
    response.headers.remove("content-encoding")
    return decoded


Tree = dict[str, "Tree | None"]


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _tree(paths: tuple[str, ...]) -> Tree:
    """`a.b`, `a.c`, `d` → {a: {b, c}, d}; None keeps all that is below."""
    tree: Tree = {}
    for path in paths:
        *parents, last = _steps(path)
        level: Tree | None = tree
        for parent in parents:
            assert level is not None, "left when everything below is kept"
            level = level.setdefault(parent, {})
            if level is None:
                break
        if level is not None:
            level[last] = None
    return tree


def _kept(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_kept(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    found = ((key, value[key], below) for key, below in tree.items() if key in value)
    kept = {key: item if below is None else _kept(item, below) for key, item, below in found}
    return {key: kept[key] for key in value if key in kept}


def _take(value: Any, steps: tuple[str, ...]) -> None:
    first, *rest = steps
    for item in _objects(value):
        if not rest:
            item.pop(first, None)
        elif first in item:
            _take(item[first], tuple(rest))


def _move(value: Any, old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Steps that both share lead to the same object, item by item of lists; a renamed field keeps its place."""
    if len(old) > 1 and len(new) > 1 and old[0] == new[0]:
        for item in _objects(value):
            _move(item.get(old[0]), old[1:], new[1:])
        return
    for item in _objects(value):
        if len(old) == len(new) == 1:
            _rename(item, old[0], new[0])
            continue
        holder: Any = item
        for name in old[:-1]:
            holder = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and old[-1] in holder:
            _put(item, new, holder.pop(old[-1]))


def _rename(item: dict[str, Any], old: str, new: str) -> None:
    if old not in item or old == new:
        return
    pairs = [(new if key == old else key, content) for key, content in item.items() if key != new]
    item.clear()
    item.update(pairs)


def _put(value: Any, steps: tuple[str, ...], content: Any) -> None:
    first, *rest = steps
    for item in _objects(value):
        if not rest:
            item[first] = copy.deepcopy(content)
        else:
            below = item.setdefault(first, {})
            if isinstance(below, (dict, list)):
                _put(below, tuple(rest), content)


def _objects(value: Any) -> list[dict[str, Any]]:
    """The object itself, or those in the list."""
    if isinstance(value, dict):
        return [value]
    return [item for each in value for item in _objects(each)] if isinstance(value, list) else []
