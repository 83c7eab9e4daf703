"""JSON back into the dataclasses of control/views.py; fields this version does not know are left out."""

from __future__ import annotations

import dataclasses
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_View = TypeVar("_View")


def decode(view: type[_View], data: dict[str, Any]) -> _View:
    hints = get_type_hints(view)
    return view(**{name: _value(hints[name], value) for name, value in data.items() if name in hints})


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        return [_value(item, each) for each in value]
    if isinstance(hint, UnionType):  # `View | None`
        return None if value is None else _value(get_args(hint)[0], value)
    return decode(hint, value) if dataclasses.is_dataclass(hint) and isinstance(hint, type) else value
