"""JSON bodies, read strictly where they are checked, and so that numbers keep their text where they are changed.

Python's floats would turn 1.50 into 1.5 and 0.30000000000000001 into 0.3. A number whose text would not come back is
held as text behind a mark that no client can guess, and written again without its quotes.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from typing import Any, Never

#: levels of lists and objects
DEEPEST = 64
#: values of a client's body: each costs a microsecond or more here, and nobody else is served meanwhile
MOST_VALUES = 200_000
_MARK = f"\ue000{secrets.token_hex(12)}:"
_MARKED = re.compile(rf'"(?:{_MARK}|{json.dumps(_MARK)[1:-1]})([0-9.eE+-]+)"')
_JSON_TYPE = re.compile(r"\s*(?:application|text)/(?:[^\s;/]+\+)?json\s*(?:;|$)", re.IGNORECASE)


class NotJson(Exception):
    """`position` counts bytes from 0, `line` and `column` from 1; 0 where nothing can be pointed at."""

    def __init__(self, detail: str, position: int = 0, line: int = 0, column: int = 0) -> None:
        super().__init__(detail)
        self.detail, self.position, self.line, self.column = detail, position, line, column


def is_json(content_type: str) -> bool:
    """`application/json` and everything that ends in `+json` (RFC 6839)."""
    return _JSON_TYPE.match(content_type) is not None


def parse_strict(content: bytes) -> Any:
    """Refuses what two parsers could read differently: repeated keys, NaN, numbers beyond a double's range, other
    encodings than UTF-8, nesting beyond DEEPEST, and more than MOST_VALUES. Raises NotJson."""
    refuse_many(content)
    return _parse(content, parse_float=_finite, object_pairs_hook=_unique)


def parse(content: bytes) -> Any:
    """Of repeated keys the last one counts; numbers keep their text. Raises NotJson."""
    return _parse(content, parse_float=_kept)


def refuse_many(content: bytes) -> None:
    """Counts the commas and brackets within texts too, which is soon done. Raises NotJson."""
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise NotJson(f"it holds more than {MOST_VALUES} values")


def dump(value: Any) -> bytes:
    """Without spaces, in UTF-8; half a surrogate pair stays an escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return (_MARKED.sub(r"\1", text) if _MARK in text else text).encode()
    except UnicodeEncodeError:
        return _MARKED.sub(r"\1", json.dumps(value, separators=(",", ":"))).encode()


def as_text(value: Any) -> str:
    """A scalar within a longer text; what is not a scalar is JSON there."""
    if isinstance(value, str):
        return value.removeprefix(_MARK)
    return dump(value).decode("utf-8", "replace")


def pointer(path: list[str | int]) -> str:
    """A JSON pointer as a URI fragment (RFC 6901, 6): `#/items/0/price`."""
    return "#" + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _parse(content: bytes, **hooks: Any) -> Any:
    try:
        text = content.decode()
        if text.startswith("\ufeff"):
            raise NotJson("it begins with a byte order mark")
        value = json.loads(text, parse_constant=_constant, **hooks)
    except json.JSONDecodeError as error:
        at = len(error.doc[: error.pos].encode("utf-8", "replace"))
        raise NotJson(
            f"{error.msg} at line {error.lineno}, column {error.colno}", at, error.lineno, error.colno
        ) from None
    except UnicodeDecodeError as error:
        raise NotJson(f"it is not UTF-8 at byte {error.start}", error.start) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise NotJson("it holds a number of too many digits") from None
    if content.count(b"[") + content.count(b"{") > DEEPEST:
        _bound(value)
    return value


def _bound(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [item for each in level for item in _children(each)]
        if not level:
            return
    raise _too_deep()


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [item for item in value.values() if isinstance(item, (dict, list))]
    return [item for item in value if isinstance(item, (dict, list))] if isinstance(value, list) else []


def _too_deep() -> NotJson:
    return NotJson(f"it is nested more than {DEEPEST} levels deep")


def _constant(name: str) -> Never:
    raise NotJson(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotJson("it holds a number that no double can hold")
    return value


def _kept(text: str) -> float | str:
    value = float(text)
    return value if repr(value) == text else _MARK + text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotJson(f'an object has the key "{twice[:80]}" twice')
    return made
