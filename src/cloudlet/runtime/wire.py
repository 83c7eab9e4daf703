"""The contracts' types as the keeper's JSON, and back."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloudlet.contracts.process import Exit, HeldSocket, Limits, Process, ProcessSpec, Restart, User
from cloudlet.errors import CloudletError, InternalError, OperatorError, Refused

_ERRORS: dict[str, type[CloudletError]] = {"Refused": Refused, "OperatorError": OperatorError}


def spec_to_wire(spec: ProcessSpec) -> dict[str, Any]:
    """Paths become absolute: the keeper has a working directory of its own."""
    return {
        **asdict(spec),
        "argv": list(spec.argv),
        "directory": str(spec.directory.absolute()),
        "environment": dict(spec.environment),
        "log": str(spec.log.absolute()),
        "restart": spec.restart.value,
        "stop_signal": int(spec.stop_signal),
        "labels": dict(spec.labels),
    }


def spec_from_wire(wire: dict[str, Any]) -> ProcessSpec:
    return ProcessSpec(
        **{
            **wire,
            "argv": tuple(wire["argv"]),
            "directory": Path(wire["directory"]),
            "log": Path(wire["log"]),
            "user": User(**wire["user"]) if wire["user"] else None,
            "sockets": tuple(wire["sockets"]),
            "restart": Restart(wire["restart"]),
            "restart_argv": tuple(wire["restart_argv"]) if wire["restart_argv"] is not None else None,
            "limits": Limits(**wire["limits"]),
        }
    )


def process_from_wire(wire: dict[str, Any]) -> Process:
    return Process(
        spec=spec_from_wire(wire["spec"]),
        pid=wire["pid"],
        started=wire["started"],
        restarts=wire["restarts"],
        exit=exit_from_wire(wire["exit"]) if wire["exit"] else None,
    )


def exit_from_wire(wire: dict[str, Any]) -> Exit:
    return Exit(**wire)


def socket_from_wire(wire: dict[str, Any]) -> HeldSocket:
    return HeldSocket(**wire)


def error_from_wire(wire: dict[str, Any]) -> CloudletError:
    return _ERRORS.get(wire["kind"], InternalError)(wire["message"])


def new_token() -> str:
    """Names one request to start a process, so that it can be asked again without starting it twice."""
    return os.urandom(8).hex()
