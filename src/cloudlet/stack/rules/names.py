"""Names: one name is one thing, and none is cloudlet's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudlet.stack.findings import Finding
from cloudlet.stack.rules.design import KINDS, Design, Rule

#: names that begin so are cloudlet's own services and engines
OWN_PREFIX = "cloudlet-"
#: the first words of cloudlet's own processes (`edge-7`)
_OWN_PROCESSES = frozenset({"edge", "keeper", "nats"})
#: and of the edge's replicas (`edge-2-7`)
_EDGE_REPLICA = re.compile(r"edge-[2-9]")
#: databases that every PostgreSQL cluster has
_OF_POSTGRES = frozenset({"postgres", "template0", "template1"})
_ENGINES = {"databases": "postgres", "caches": "valkey"}


def unique(design: Design) -> Iterator[Finding]:
    """Services, databases and caches share their names: each becomes a variable such as SHOP_DB_URL."""
    seen: dict[str, str] = {}
    for section, kind in KINDS.items():
        for name in design.declared(section):
            if name in seen:
                message = f'{section}.{name}: the name "{name}" is already that of a {seen[name]}'
                yield Finding((section, name), message, f"rename one of them, e.g. {name}-{kind}", key=True)
            seen.setdefault(name, kind)


def not_our_own(design: Design) -> Iterator[Finding]:
    """Names that begin with `cloudlet-`, or whose processes would be called like one of cloudlet's."""
    for section in KINDS:
        for name in design.declared(section):
            if name.startswith(OWN_PREFIX):
                message = f'{section}.{name}: names that begin with "{OWN_PREFIX}" are cloudlet\'s own'
                yield Finding((section, name), message, f"name it {name.removeprefix(OWN_PREFIX)}", key=True)
    for name in design.declared("services"):
        if name in _OWN_PROCESSES or _EDGE_REPLICA.fullmatch(name):
            message = f'services.{name}: "{name}" is what cloudlet calls processes of its own'
            yield Finding(("services", name), message, f"name it {name}-service", key=True)
    for name in design.declared("databases"):
        if name in _OF_POSTGRES:
            message = f'databases.{name}: PostgreSQL has a database "{name}" of its own'
            yield Finding(("databases", name), message, f"name it {name}-db", key=True)


def processes_differ(design: Design) -> Iterator[Finding]:
    """Instance 1 of a service `postgres-shop` and the engine of a database `shop-1` would share a name."""
    services = set(design.declared("services"))
    for section, engine in _ENGINES.items():
        for name in design.declared(section):
            service, _, number = f"{engine}-{name}".rpartition("-")
            if number.isdigit() and service in services:
                clash = f'"{engine}-{name}", like an instance of {service}'
                message = f"{section}.{name}: its engine would be called {clash}"
                yield Finding((section, name), message, "rename one of them", key=True)


def something_runs(design: Design) -> Iterator[Finding]:
    if not any(design.declared(section) for section in KINDS):
        yield Finding((), "the file describes nothing that runs", "add a service below `services`")


RULES: tuple[Rule, ...] = (unique, not_our_own, processes_differ, something_runs)
