"""Changes of fields, and JSON that comes out as it went in."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.gateway import json_text
from cloudlet.gateway.bodies import change
from cloudlet.gateway.json_text import NotJson, dump, parse, parse_strict
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Body, Receive
from cloudlet.stack.gateway.shaping import FieldChanges

NAMES = st.sampled_from(["a", "b", "c", "total"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def changed(value: Any, **changes: Any) -> Any:
    apply = change(FieldChanges(**changes))
    return value if apply is None else apply(value)


@given(VALUES)
def test_json_comes_out_as_it_went_in(value: Any) -> None:
    """The same value, and from then on the same bytes."""
    written = dump(parse(json.dumps(value).encode()))
    assert json.loads(written) == value
    assert dump(parse(written)) == written


@pytest.mark.parametrize(
    "text",
    [
        "12345678901234567890123456789",
        "0.30000000000000001",
        "1.50",
        "1E400",
        "-0.0",
        '"\\ud800"',
        '{"é":"\U0001f600","n":[1.10,2]}',
        "9007199254740993",
    ],
)
def test_numbers_and_text_keep_their_form(text: str) -> None:
    """Amounts with a zero at the end, identifiers beyond 2^53, half a surrogate pair."""
    assert dump(parse(text.encode())).decode() == text


def test_a_text_that_looks_like_a_kept_number_stays_text() -> None:
    """The mark of a kept number cannot be guessed, and one taken from elsewhere means nothing."""
    text = '["\\ue000abcdefabcdefabcdefabcdef:1.50","1.50",1.50]'
    assert json.loads(dump(parse(text.encode()))) == json.loads(text)


@given(VALUES)
def test_changes_that_name_nothing_change_nothing(value: Any) -> None:
    """Identity, whatever the body."""
    before = json.dumps(value)
    assert json.dumps(changed(value, drop=["x", "x.a"], rename={"x": "y", "a.x": "a.y"})) == before


@given(VALUES, NAMES)
def test_a_renamed_field_goes_back(value: Any, name: str) -> None:
    """There and back again is where it was, in the same place."""
    once = changed(json.loads(json.dumps(value)), rename={name: "new"})
    assert json.dumps(changed(once, rename={"new": name})) == json.dumps(value)


@given(VALUES, NAMES)
def test_a_dropped_field_is_nowhere_it_was_named(value: Any, name: str) -> None:
    """Neither in the object nor in any item of a list."""
    made = changed(value, drop=[name])
    objects = [made] if isinstance(made, dict) else flat(made)
    assert not any(name in item for item in objects if isinstance(item, dict))


def flat(value: Any) -> list[Any]:
    return [inner for item in value for inner in flat(item)] if isinstance(value, list) else [value]


@given(VALUES)
def test_what_is_kept_beside_everything_is_everything(value: Any) -> None:
    """All names kept are the whole value."""
    assert json.dumps(changed(value, keep=["a", "b", "c", "total"])) == json.dumps(value)


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ({"a": {"b": 1, "c": 2}}, {"drop": ["a.b"]}, {"a": {"c": 2}}),
        ({"l": [{"p": 1, "q": 2}, {"p": 3}]}, {"drop": ["l.p"]}, {"l": [{"q": 2}, {}]}),
        ([{"a": 1}, {"a": 2, "b": 3}], {"keep": ["a"]}, [{"a": 1}, {"a": 2}]),
        ({"l": [{"p": 1, "q": 2}], "x": 1}, {"keep": ["l.q"]}, {"l": [{"q": 2}]}),
        ({"a": 1, "z": 2}, {"rename": {"a": "b"}}, {"b": 1, "z": 2}),
        ({"a": 1, "b": 2}, {"rename": {"a": "b"}}, {"b": 1}),
        ({"l": [{"p": 1}, {"p": 2}]}, {"rename": {"l.p": "l.price"}}, {"l": [{"price": 1}, {"price": 2}]}),
        ({"c": {"name": "x"}}, {"rename": {"c.name": "customer"}}, {"c": {}, "customer": "x"}),
        ({"a": 1}, {"add": {"b": 2, "c.d": None}}, {"a": 1, "b": 2, "c": {"d": None}}),
        ([{"a": 1}], {"add": {"b": 2}}, [{"a": 1, "b": 2}]),
        ({"a": 5}, {"add": {"a.b": 1}}, {"a": 5}),
        ({"a": 1}, {"keep": ["b"], "add": {"c": 1}}, {"c": 1}),
        (7, {"drop": ["a"], "add": {"b": 1}}, 7),
    ],
)
def test_changes(before: Any, changes: dict[str, Any], after: Any) -> None:
    """Keep, drop, rename, add: in objects, and in each item of lists."""
    made = changed(before, **changes)
    assert made == after
    assert list(made) == list(after) if isinstance(made, dict) else True


def test_added_values_are_not_shared() -> None:
    """What one answer does to an added list is not seen in the next."""
    apply = change(FieldChanges(add={"tags": [], "tags_by": {}}, rename={}))
    assert apply is not None
    apply({})["tags"].append("mine")
    assert apply({}) == {"tags": [], "tags_by": {}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[1e400]", "double"),
        (b"[" * 65 + b"]" * 65, "deep"),
        (b"[" * 100_000 + b"]" * 100_000, "deep"),
        (b'{"a":' * 100_000, "deep"),
        (b"1" * 10_000, "digits"),
        (b'"\xff"', "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b"{'a': 1}", "line 1, column 2"),
        (b"", "line 1, column 1"),
        (b"{} {}", "Extra data"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(body: bytes, reason: str) -> None:
    """Repeated keys, what is not JSON, what is too deep or too large."""
    with pytest.raises(NotJson, match=reason):
        parse_strict(body)


def test_positions_are_of_bytes() -> None:
    """The place that is told is where a byte editor finds it."""
    with pytest.raises(NotJson) as caught:
        parse_strict('{"é": }'.encode())
    assert (caught.value.position, caught.value.column) == (7, 7)


def test_many_values_are_refused_before_they_are_read() -> None:
    """What would keep the whole service busy for seconds costs a look at the bytes; large texts may pass."""
    many = b"[" + b"{}," * json_text.MOST_VALUES + b"{}]"
    with pytest.raises(NotJson, match="more than 200000 values"):
        parse_strict(many)
    with pytest.raises(NotJson, match="more than 200000 values"):
        json_text.refuse_many(many)
    assert len(parse_strict(b'"' + b"a" * 5_000_000 + b'"')) == 5_000_000


def test_as_deep_as_is_allowed_passes() -> None:
    """The bound itself is within."""
    depth = json_text.DEEPEST
    assert parse_strict(b"[" * depth + b"]" * depth)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/problem+json", True),
        ("Application/JSON", True),
        ("application/x-ndjson", False),
        ("text/html", False),
        ("application/json5", False),
        ("", False),
    ],
)
def test_content_types(kind: str, expected: bool) -> None:
    """JSON by its registered types and its suffix."""
    assert json_text.is_json(kind) is expected


async def test_bodies_held_are_bounded_together_and_let_go() -> None:
    """Beyond the bound 503; what is answered takes no room any more."""

    async def fill() -> None:
        made = [Body(pieces()) for _ in range(30)]
        with pytest.raises(Refusal, match="large bodies"):
            for body in made:
                await body.read()
        assert Body.held > 250_000_000

    await fill()
    async with asyncio.timeout(5):
        while Body.held:
            gc.collect()
            await asyncio.sleep(0)


def pieces() -> Receive:
    left = iter([b"x" * 9_000_000])

    async def receive() -> bytes | None:
        return next(left, None)

    return receive
