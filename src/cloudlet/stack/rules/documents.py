"""Documents that routes name: readable, sound, and all that they refer to beside them."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.documents import openapi_problem, schema_problem
from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule


def usable(design: Design) -> Iterator[Finding]:
    for index, route in design.routes:
        named = (
            ("json_schema", route.accept.json_schema, schema_problem),
            ("openapi", route.accept.openapi, openapi_problem),
        )
        for key, file, problem in named:
            found = problem(file) if file is not None else None
            if found is not None:
                path: Path = ("gateway", "routes", index, "accept", key)
                yield Finding(path, f"{dotted(path)}: {found[0]}", found[1])


RULES: tuple[Rule, ...] = (usable,)
