"""An OpenAPI 3.1 document: its operations, each with what its parameters and body must be.

Paths are matched segment by segment behind the path of `servers`; a literal segment wins over a parameter. Not
everything that a document can say is checked here, and what is not is refused when it is read rather than passed over:
other styles of parameters than `simple` and `form`, `deepObject` among them. Left to the service: bodies that are no
JSON (only their content type is checked), `security`, and answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cloudlet.stack.documents.parameters import Parameter
from cloudlet.stack.documents.reading import Unusable
from cloudlet.stack.documents.references import Place
from cloudlet.stack.documents.schema import Schema

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
#: header parameters that HTTP itself governs (OpenAPI 3.1, 4.8.12.1)
_IGNORED = frozenset({"accept", "content-type", "authorization"})


@dataclass(frozen=True, slots=True)
class Content:
    """What a body may be; `schema` None is any, and for what is no JSON always."""

    media_type: str
    schema: Schema | None

    def takes(self, media_type: str) -> bool:
        """A range takes all of its kind: `*/*`, `application/*`, `application/*+json`."""
        kind, _, sub = self.media_type.partition("/")
        given, _, given_sub = media_type.partition("/")
        suffix = sub.startswith("*+") and given_sub.endswith(sub[1:])
        return kind in ("*", given) and (sub in ("*", given_sub) or suffix)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    template: str
    parameters: tuple[Parameter, ...] = ()
    #: by how exactly they name a type
    contents: tuple[Content, ...] = ()
    body_required: bool = False


@dataclass(frozen=True, slots=True)
class PathItem:
    """One template, split: literal segments decoded, None for a parameter."""

    template: str
    segments: tuple[str | None, ...]
    names: tuple[str, ...]
    operations: Mapping[str, Operation]

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The path's parameters, decoded."""
        if len(segments) != len(self.segments):
            return None
        values = []
        for wanted, given in zip(self.segments, segments, strict=True):
            if wanted is None:
                values.append(given)
            elif wanted != given:
                return None
        return dict(zip(self.names, values, strict=True)) if all(values) else None


class OpenApi:
    """The document, compiled. Raises Unusable."""

    def __init__(self, path: Path) -> None:
        root = Place.of(path)
        version = root.value.get("openapi") if isinstance(root.value, dict) else None
        if not isinstance(version, str) or not version.startswith("3.1."):
            said = f"openapi {version}" if version else "no OpenAPI document"
            raise Unusable(f"{path.name} is {said}; 3.1 is taken", "write `openapi: 3.1.0`, and schemas as it has them")
        bases: list[str] = sorted({_base(server) for server in root.value.get("servers") or [{}]})
        paths = root.get("paths")
        templates = paths.value if paths else {}
        if not isinstance(templates, dict) or not templates:
            raise Unusable(f"{path.name} has no paths, so that nothing could pass", "describe the operations")
        items = [_item(paths.at(key).followed(), base, key) for key in templates for base in bases if paths]
        self.items = sorted(items, key=lambda item: tuple(segment is None for segment in item.segments))
        _distinct(path, self.items)

    def find(self, path: str) -> tuple[PathItem, dict[str, str]] | None:
        """The template that takes this path (percent-encoded as the client sent it), and its parameters."""
        segments = tuple(unquote(segment) for segment in path.split("/")[1:])
        for item in self.items:
            values = item.match(segments)
            if values is not None:
                return item, values
        return None


def _base(server: Any) -> str:
    url = str(server.get("url", "/")) if isinstance(server, dict) else "/"
    if "{" in url:
        raise Unusable(f'servers: "{url}" holds a variable, which nothing fills in here', "write the path out")
    return urlsplit(url).path.rstrip("/")


def _item(place: Place, base: str, key: str) -> PathItem:
    if not key.startswith("/"):
        raise Unusable(f'paths: "{key}" does not begin with /', "write it with a /")
    template = base + key
    segments: list[str | None] = []
    names: list[str] = []
    for segment in template.split("/")[1:]:
        if segment.startswith("{") and segment.endswith("}"):
            names.append(segment[1:-1])
            segments.append(None)
        elif "{" in segment:
            raise Unusable(f'paths: "{key}" has a parameter within a segment', "make the segment one parameter")
        else:
            segments.append(unquote(segment))
    shared = list(_parameters(place))
    operations = {
        method.upper(): _operation(method.upper(), key, place.at(method), shared)
        for method in METHODS
        if method in place.value
    }
    for operation in operations.values():
        described = {parameter.name for parameter in operation.parameters if parameter.where == "path"}
        if described != set(names):
            wrong = ", ".join(sorted(described ^ set(names)))
            raise Unusable(
                f"paths: {operation.method} {key}: path parameter {wrong} is not both in path and parameters"
            )
    return PathItem(template, tuple(segments), tuple(names), operations)


def _operation(method: str, key: str, place: Place, shared: list[Parameter]) -> Operation:
    own = {(parameter.where, parameter.name): parameter for parameter in shared}
    own |= {(parameter.where, parameter.name): parameter for parameter in _parameters(place)}
    body = place.get("requestBody")
    body = body.followed() if body else None
    contents = sorted(_contents(body), key=lambda content: content.media_type.count("*")) if body else []
    required = bool(body and body.value.get("required") is True)
    return Operation(method, key, tuple(own.values()), tuple(contents), required)


def _parameters(place: Place) -> Iterator[Parameter]:
    listed = place.get("parameters")
    for number in range(len(listed.value) if listed else 0):
        assert listed is not None, "it has items"
        found = listed.at(number).followed()
        if found.value.get("in") == "header" and str(found.value.get("name", "")).lower() in _IGNORED:
            continue
        yield Parameter.read(found)


def _contents(body: Place) -> Iterator[Content]:
    content = body.get("content")
    for media_type in content.value if content else ():
        assert content is not None, "it has entries"
        bare = media_type.partition(";")[0].strip().lower()
        schema = content.at(media_type).get("schema")
        readable = bare.endswith(("/json", "+json", "*"))
        yield Content(bare, schema.schema() if schema and readable else None)


def _distinct(path: Path, items: list[PathItem]) -> None:
    seen: dict[tuple[str | None, ...], str] = {}
    for item in items:
        other = seen.setdefault(item.segments, item.template)
        if other != item.template:
            raise Unusable(f"{path.name}: {other} and {item.template} take the same paths", "keep one of them")
