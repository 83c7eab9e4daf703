"""What the machine must have: the working directory and the program of each service."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.files import is_file, is_folder, is_there
from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule
from cloudlet.stack.service import Service


def directories(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        if not is_folder(service.directory):
            path: Path = ("services", name, "directory")
            reason = "is no folder" if is_there(service.directory) else "is not there"
            message = f'{dotted(path)}: "{service.directory}" {reason}'
            yield Finding(path, message, "make it, or name another; it is relative to the file")


def programs(design: Design) -> Iterator[Finding]:
    for name, service in design.stack.services.items():
        if is_folder(service.directory) and service.program is None:
            path: Path = ("services", name, "command")
            yield Finding(path, f"{dotted(path)}: {_missing(service)}", _fix(service))


def _missing(service: Service) -> str:
    name = service.command[0]
    if "/" in name:
        return f'there is no program "{name}" that can be executed, seen from {service.directory}'
    return f'the program "{name}" is not on PATH'


def _fix(service: Service) -> str:
    name = service.command[0]
    if "=" in name:
        return "no shell reads the command: set variables below `environment`"
    if is_file(service.directory / name):
        return f"write ./{name} and make it executable" if "/" not in name else f"chmod +x {name}"
    return "install it, or write its path"


RULES: tuple[Rule, ...] = (directories, programs)
