"""JSON and messages (protobuf's JSON mapping): int64 as text, enums by name, bytes as base64, names in lowerCamelCase;
names as in the .proto file are taken too. What a message has no field for is refused. Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

#: bytes of one message, in JSON or on the wire
LARGEST = 4_194_304
_WRAPPED_BOOL = "google.protobuf.BoolValue"
_BOOLEANS = {"true": True, "false": False}


class Unfit(Exception):
    """A request that is no such message; the message says where."""


def parsed(text: bytes) -> Any:
    """The JSON value. Raises Unfit; a key that is there twice would mean two things to two readers."""
    if len(text) > LARGEST:
        raise Unfit(f"a message has at most {LARGEST} bytes")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_never)
    except RecursionError as error:
        raise Unfit("the JSON is nested too deep") from error
    except ValueError as error:
        raise Unfit(f"the body is not JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unfit("a field is there twice")
    return found


def _never(name: str) -> float:
    raise Unfit(f"{name} is not JSON")


def made(kind: Any, value: Any, pool: Any) -> Any:
    """A message of class `kind` from a JSON value. Raises Unfit."""
    message = kind()
    try:
        _check(message.DESCRIPTOR, value, "the request")
        json_format.ParseDict(value, message, descriptor_pool=pool)
    except (json_format.ParseError, TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        raise Unfit(f"the request is no {message.DESCRIPTOR.full_name}: {error}") from error
    return message


def _check(descriptor: Any, value: Any, where: str) -> None:
    """What protobuf's own parser overlooks: a list in the place of a message, and a field under both of its names."""
    if descriptor.full_name.startswith("google.protobuf."):
        return
    if not isinstance(value, dict):
        raise Unfit(f"{where} is no {descriptor.full_name}")
    seen: set[int] = set()
    for key, item in value.items():
        field = _named(descriptor, key)
        if field is None:
            continue
        if field.number in seen:
            raise Unfit(f"{where} has the field {key} under two names")
        seen.add(field.number)
        if field.message_type is not None and item is not None and not field.message_type.GetOptions().map_entry:
            for one in item if field.is_repeated and isinstance(item, list) else [item]:
                _check(field.message_type, one, key)


def _named(descriptor: Any, key: str) -> Any:
    found = descriptor.fields_by_name.get(key) or descriptor.fields_by_camelcase_name.get(key)
    return found or next((field for field in descriptor.fields if field.json_name == key), None)


def shown(message: Any, pool: Any, field: str = "") -> bytes:
    """As JSON in one line; with `field` only what is in that. Fields without a value are shown with their default."""
    value: Any = json_format.MessageToDict(message, always_print_fields_with_no_presence=True, descriptor_pool=pool)
    if field:
        value = value.get(_json_name(message.DESCRIPTOR, field))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _json_name(descriptor: Any, name: str) -> str:
    found = descriptor.fields_by_name.get(name)
    return str(found.json_name) if found else name


def put(value: dict[str, Any], descriptor: Any, name: str, texts: Iterable[str]) -> None:
    """Fill the field `name` (dotted for what lies deeper) with what stands in a path or query. Raises Unfit."""
    *outer, last = name.split(".")
    for step in outer:
        field = _field(descriptor, step, name)
        if field.message_type is None or field.is_repeated:
            raise Unfit(f"{name}: {step} is no message")
        descriptor = field.message_type
        value = value.setdefault(_used(value, field), {})
        if not isinstance(value, dict):
            raise Unfit(f"{name}: {step} is given as a whole already")
    field = _field(descriptor, last, name)
    found = [_read(field, text, name) for text in texts]
    if not field.is_repeated and len(found) > 1:
        raise Unfit(f"{name} is there {len(found)} times and takes one value")
    value[_used(value, field)] = found if field.is_repeated else found[0]


def _field(descriptor: Any, step: str, name: str) -> Any:
    field = _named(descriptor, step)
    if field is None:
        raise Unfit(f"{name}: {descriptor.full_name} has no field {step}")
    return field


def _used(value: Mapping[str, Any], field: Any) -> str:
    """The name under which the field stands there already: its two names must not stand beside each other."""
    return field.name if field.name in value else str(field.json_name)


def _read(field: Any, text: str, name: str) -> Any:
    """What JSON would have said; text in JSON stands for numbers, enums and times as well."""
    kind = field.message_type.full_name if field.message_type is not None else ""
    if field.type == FieldDescriptor.TYPE_BOOL or kind == _WRAPPED_BOOL:
        if text not in _BOOLEANS:
            raise Unfit(f"{name} is true or false")
        return _BOOLEANS[text]
    if kind and not kind.startswith("google.protobuf."):
        raise Unfit(f"{name} is a message; name its fields")
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return _number(text, name)
    return text


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise Unfit(f"{name} is no number") from error
    if not math.isfinite(number):
        raise Unfit(f"{name} is no number")
    return number
