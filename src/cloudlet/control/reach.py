"""The paths that whoever runs as a user of cloudlet's must be able to reach."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cloudlet.control.desired import Desired
from cloudlet.control.forwarders import is_forwarder
from cloudlet.control.own import documents
from cloudlet.control.topology import GATEWAY
from cloudlet.engines.locate import locate


def needs(desired: Desired, name: str) -> list[Path]:
    """Those of a service, a forwarder, the edge or an engine by its name. Raises EngineMissing."""
    if desired.knows(name):
        service = desired.service(name)
        programs = [service.program] if service.program else []
        read = documents(desired.stack) if name == GATEWAY else []
        return [service.directory, *programs, *(p for program in programs for p in interpreter(program)), *read]
    if is_forwarder(name):
        return [Path(sys.executable)]
    kind = name.partition("-")[0]
    return [locate("haproxy" if name == "edge" else kind).usable()]


def interpreter(program: Path) -> list[Path]:
    """The program that a script's first line names, as the kernel will run it."""
    try:
        with program.open("rb") as file:
            line = file.readline(256)
    except OSError:
        return []
    words = line[2:].split() if line.startswith(b"#!") else []
    return [Path(os.fsdecode(words[0]))] if words else []
