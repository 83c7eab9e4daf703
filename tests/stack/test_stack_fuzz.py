"""Any text at all is a stack or a StackError."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlet.errors import StackError
from cloudlet.stack import check, parse
from cloudlet.stack.document import MAX_DEPTH, MAX_NODES, MAX_TEXT

SHOP = (Path(__file__).parent / "cases" / "shop.txt").read_text()
FILE = Path("cloudlet.yaml")

WORDS = sorted(
    {"a" * 300, "a/" * 3000}
    | {word.strip("{}[],:\"'") for word in SHOP.split()}
    | {
        "0",
        "-1",
        "~",
        "1e999",
        "nan",
        "inf",
        "${env:X}",
        "${secret:x}",
        "$${",
        "{port}",
        "\\ud800",
        "*a",
        "&a",
    }
    | {
        "off",
        "null",
        "9" * 5000,
        "<<",
        "!!str",
        "é",
        "\x1b[0m",
        "databases",
        "listeners",
        "/x/{id}",
        "certificates",
    }
)
values = st.recursive(
    st.sampled_from(WORDS) | st.none() | st.integers() | st.floats() | st.booleans() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)


def survives(text: str) -> None:
    try:
        stack = parse(text, FILE)
    except StackError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.message
            assert (problem.message + problem.fix).isprintable()
            assert 0 <= problem.line <= text.count("\n") + 2
    else:
        check(stack)


@given(st.text())
def test_any_text(text: str) -> None:
    """Text of any characters."""
    survives(text)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from([*WORDS, "\n", "\n  ", "\n    ", ": ", "{", "}", "[", "]", ", ", "- ", "'"]),
        max_size=40,
    )
)
def test_text_that_looks_like_ours(words: list[str]) -> None:
    """The file's own words in any order."""
    survives("".join(words))


@settings(max_examples=300)
@given(values, st.sampled_from(["services", "gateway", "edge", "databases", "caches"]), st.booleans())
def test_any_value_anywhere(value: object, section: str, deeper: bool) -> None:
    """Values of every shape below every section."""
    survives(yaml.safe_dump({"name": "shop", section: {"a": value} if deeper else value}, allow_unicode=True))


@settings(max_examples=200)
@given(st.data())
def test_our_own_file_with_a_hole(data: st.DataObject) -> None:
    """A good file with a piece of it replaced."""
    begin = data.draw(st.integers(0, len(SHOP)))
    end = data.draw(st.integers(begin, min(len(SHOP), begin + 30)))
    survives(SHOP[:begin] + data.draw(st.sampled_from([*WORDS, "", " ", "\n"])) + SHOP[end:])


@pytest.mark.parametrize(
    "text",
    [
        "[" * MAX_TEXT,
        "a: " + "{b: " * (MAX_DEPTH + 1),
        "- " * 10_000,
        "x" * (MAX_TEXT + 1),
        "[" + "a," * MAX_NODES + "]",
        'a: "\\UFFFFFFFF"',
        "%YAML " + "9" * 5000 + ".1\n---\na: 1",
        "a: &a [*a]",
        "a: *b",
        "<<: {<<: {<<: 3}}",
        "? &a [x]\n: *a",
        "name: \ufeffx",
    ],
    ids=range(12),
)
def test_hostile_text(text: str) -> None:
    """Nests, bombs and escapes are refused quickly."""
    with pytest.raises(StackError):
        parse(text, FILE)
