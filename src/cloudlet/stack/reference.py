"""Writes the reference page and the JSON Schema from the models, or with --check says that they are stale.

python -m cloudlet.stack.reference [--check] FILE.md SCHEMA.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cloudlet.stack import planned
from cloudlet.stack.findings import dotted
from cloudlet.stack.schema import json_schema, models

_INTRODUCTION = """\
# cloudlet.yaml

<!-- Generated from the models by `make docs`; edit src/cloudlet/stack/ instead. -->

Every key that cloudlet knows, part by part. The same for editors, as a [JSON Schema](cloudlet.schema.json):
begin the file with `# yaml-language-server: $schema=` and its address.

Durations are written `500ms`, `30s`, `5m`, `1h`, `1d`; sizes `64MB` (10^6 bytes) or `64MiB` (2^20); shares
`70%`. Names are lower-case letters, digits and `-`, a letter first. Paths are relative to the file.

`${env:NAME}` is replaced by an environment variable in any value, `${secret:NAME}` by a secret in the values
of a service's `environment`; `$${` writes a literal `${`. Values are kept as they are written: `no`, `0123`
and `1.10` are text where text is wanted. Anchors, aliases and `<<` work; tags do not.

A key that is not here is refused, with the nearest one that is. So is a setting that would have no effect.
"""
_PLANNED = """\
## Not built yet

These keys are known and refused, so that a file never promises what nothing does.

| key | will bring |
|---|---|
"""


def page() -> str:
    """The reference as Markdown: one table for each model, then what is not built yet."""
    schema = json_schema()
    tables = [_table(_part(schema, model.__name__), model.__name__, schema) for model in models()]
    rows = [f"| `{_pattern(key)}` | {meaning} |" for key, meaning in planned.KEYS.items()]
    rows += [
        f"| `{_pattern(key)}`: {_words(sorted(values))} | other ways to replace what runs |"
        for key, values in planned.VALUES.items()
    ]
    return "\n".join([_INTRODUCTION, *tables, _PLANNED + "\n".join(rows), ""])


def main(arguments: Sequence[str]) -> int:
    """The command; 1 when a file is stale or the arguments are wrong."""
    check = "--check" in arguments
    files = [Path(argument) for argument in arguments if argument != "--check"]
    if len(files) != 2:
        print(__doc__, file=sys.stderr)
        return 1
    contents = (page(), json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    stale = [file for file, content in zip(files, contents, strict=True) if _differs(file, content)]
    if check:
        for file in stale:
            print(f"{file} does not match the models; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for file, content in zip(files, contents, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return 0


def _differs(file: Path, content: str) -> bool:
    return not file.is_file() or file.read_text(encoding="utf-8") != content


def _part(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"].get(name, schema)
    return found


def _table(part: dict[str, Any], name: str, schema: dict[str, Any]) -> str:
    lines = [
        f"## {name}",
        "",
        part["description"],
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    required = part.get("required", [])
    for key, described in part["properties"].items():
        meaning = described.get("description") or _part(schema, _target(described)).get("description", "")
        default = "required" if key in required else _default(described)
        lines.append(f"| `{key}` | {_kind(described)} | {default} | {meaning} |")
    return "\n".join([*lines, ""])


def _target(described: dict[str, Any]) -> str:
    return str(described.get("$ref", "")).rsplit("/", 1)[-1]


def _default(described: dict[str, Any]) -> str:
    if "default" not in described:
        return ""
    default = described["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`".replace('"', "")


def _kind(described: dict[str, Any] | bool) -> str:
    """What may be written, in words."""
    if isinstance(described, bool) or not described.keys() & {"$ref", "anyOf", "enum", "type", "title", "const"}:
        return "anything"
    if "$ref" in described:
        name = _target(described)
        return f"[{name}](#{name.lower()})"
    if "title" in described and "anyOf" not in described and "enum" not in described:
        return str(described["title"])
    return " or ".join(_alternatives(described))


def _alternatives(described: dict[str, Any]) -> Iterator[str]:
    if "anyOf" in described:
        if "title" in described:
            yield str(described["title"])
        else:
            kinds = (_kind(option) for option in described["anyOf"] if option.get("type") != "null")
            yield from dict.fromkeys(kinds)
    elif "enum" in described or "const" in described:
        yield _words(described.get("enum") or [described["const"]])
    elif described.get("type") == "array":
        yield f"list of {_kind(described['items'])}"
    elif described.get("type") == "object":
        values = next(iter(described.get("patternProperties", {}).values()), None)
        yield f"{_kind(values or described['additionalProperties'])} by name"
    else:
        yield _number(described)


def _number(described: dict[str, Any]) -> str:
    kind = {"integer": "whole number", "number": "number"}.get(str(described.get("type")), "text")
    low, high = described.get("minimum"), described.get("maximum")
    return f"{kind}, {low} to {high}" if low is not None and high is not None else kind


def _words(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _pattern(key: tuple[str, ...]) -> str:
    """`("gateway", "routes", "*", "cors")` → `gateway.routes[].cors`; elsewhere `*` is a name."""
    text = dotted(key).replace("routes.*", "routes[]")
    return text.replace(".*", ".NAME")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
