"""The templates beside the engines: `$name` is replaced, `$$` is a dollar, a missing value is a bug."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from string import Template


def text(name: str) -> str:
    return files("cloudlet.engines").joinpath("templates", name).read_text(encoding="utf-8")


def render(name: str, /, **values: object) -> str:
    return Template(text(name)).substitute(values)


def quoted(value: str | Path) -> str:
    """A string in double quotes with backslash escapes, as Valkey and NATS read it."""
    return json.dumps(str(value), ensure_ascii=False)


def postgres_quoted(value: str | Path) -> str:
    """A string of postgresql.conf, which doubles quotes and reads backslash escapes."""
    escaped = str(value).replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return f"'{escaped}'"


def variable(resource: str) -> str:
    """How a resource begins its environment variables: `shop-db` is `SHOP_DB`."""
    return resource.upper().replace("-", "_")
