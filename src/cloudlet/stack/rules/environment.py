"""The variables that an instance finds: those of the file must not meet those that cloudlet sets."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule
from cloudlet.stack.stack import Stack

_OWN_PREFIX = "CLOUDLET_"
_LISTENING = ("PORT", "HOST")


def provided(stack: Stack, service: str) -> Iterator[tuple[str, str]]:
    """Each variable that cloudlet gives an instance for what its service uses, and the name it comes from."""
    uses = stack.services[service].uses
    for name in uses:
        variable = name.upper().replace("-", "_")
        yield f"{variable}_URL", name
        if name in stack.databases:
            yield f"{variable}_READ_URL", name
    for alias, section in (("DATABASE_URL", stack.databases), ("REDIS_URL", stack.caches)):
        of_kind = [name for name in uses if name in section]
        if len(of_kind) == 1:
            yield alias, of_kind[0]


def own_variables(design: Design) -> Iterator[Finding]:
    """A service's `environment` leaves alone what cloudlet sets."""
    for name, service in design.stack.services.items():
        sources = dict(provided(design.stack, name))
        for variable in service.environment:
            path: Path = ("services", name, "environment", variable)
            reason = ""
            if variable.startswith(_OWN_PREFIX):
                reason = f"names that begin with {_OWN_PREFIX} are cloudlet's own"
            elif variable in _LISTENING and service.protocol != "none":
                reason = "cloudlet sets it to where the instance must listen"
            elif variable in sources:
                reason = f'cloudlet sets it, because the service uses "{sources[variable]}"'
            if reason:
                yield Finding(path, f"{dotted(path)}: {reason}", "remove it, or give it another name", key=True)


def used_names_differ(design: Design) -> Iterator[Finding]:
    """Two names in `uses` must not give the same variable."""
    for name, service in design.stack.services.items():
        first: dict[str, str] = {}
        for variable, source in provided(design.stack, name):
            other = first.setdefault(variable, source)
            if other != source:
                path: Path = ("services", name, "uses")
                message = f'{dotted(path)}: "{other}" and "{source}" would both set {variable}'
                yield Finding((*path, service.uses.index(source)), message, "rename one of them")


RULES: tuple[Rule, ...] = (own_variables, used_names_differ)
