"""A service: anything that runs as instances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from signal import Signals
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from cloudlet.stack.balance import Balance, BalanceBy, Sticky
from cloudlet.stack.command import Command, fill, find_program, search_path
from cloudlet.stack.fields import (
    Duration,
    FilePath,
    Model,
    Name,
    PositiveDuration,
    Share,
    Shorthand,
    Size,
    Text,
    matching,
)
from cloudlet.stack.findings import Fault, suggestion
from cloudlet.stack.health import Eject, Health, Wait

SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGKILL")
_VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _count(value: Any) -> Any:
    return {"min": value, "max": value} if isinstance(value, (str, int)) else value


def _signal(value: object) -> object:
    if isinstance(value, str):
        if value not in SIGNALS:
            raise Fault(f'"{value}" is no signal to stop with', suggestion(value, SIGNALS, "there are"))
        return Signals[value]
    return value


class InstanceRange(Model):
    """How many instances run. Until scaling exists, `min` do."""

    min: int = Field(default=1, ge=0, le=1000, description="The fewest.")
    max: int = Field(default=1, ge=0, le=1000, description="The most; `min` where it is left out.")

    @model_validator(mode="before")
    @classmethod
    def _max_from_min(cls, data: Any) -> Any:
        if isinstance(data, dict) and "max" not in data and str(data.get("min", "")).isdigit():
            return {**data, "max": data["min"]}
        return data


Instances = Annotated[
    InstanceRange, Shorthand(_count, {"type": "integer", "minimum": 0, "maximum": 1000, "title": "number"})
]
StopSignal = Annotated[
    Signals,
    BeforeValidator(_signal),
    PlainSerializer(lambda value: Signals(value).name, str, when_used="json"),
    WithJsonSchema({"type": "string", "enum": list(SIGNALS), "title": "signal"}),
]
Variable = Annotated[
    str,
    matching(_VARIABLE_PATTERN, "a name of a variable", "use letters, digits and `_`, no digit first"),
    WithJsonSchema({"type": "string", "pattern": _VARIABLE_PATTERN}),
]


class Resources(Model):
    """Limits by cgroup, for each instance."""

    cpu: float | None = Field(
        default=None, gt=0, le=4096, allow_inf_nan=False, description="Cores, e.g. 0.5; without it no limit."
    )
    memory: Size | None = Field(default=None, description="More than this ends the instance; without it no limit.")


class Stop(Model):
    """How an instance ends: drained first, then the signal, then SIGKILL for its whole process group."""

    signal: StopSignal = Field(default=Signals.SIGTERM, description="What asks it to end.")
    drain: Duration = Field(default=30.0, description="How long requests in flight may take to finish.")
    grace: Duration = Field(default=10.0, description="From the signal to SIGKILL.")


class Deployment(Model):
    """How a changed service replaces the running one."""

    strategy: Literal["rolling"] = Field(default="rolling", description="Instance by instance.")
    max_surge: int = Field(default=1, ge=0, le=1000, description="Instances above the wanted number meanwhile.")
    max_unavailable: int = Field(default=0, ge=0, le=1000, description="Instances below it meanwhile.")


class Retries(Model):
    """Repeats of idempotent requests whose instance failed."""

    attempts: int = Field(default=3, ge=0, le=10, description="Repeats at most; 0 for none.")
    budget: Share = Field(
        default=0.2, description="Repeats as a share of the requests of the last ten seconds; beyond it none are made."
    )


class Breaker(Model):
    """A circuit breaker: a service that mostly fails is not asked for a while, then by one request, then again."""

    errors: Share = Field(default=0.5, description="The share of 5xx and lost answers that opens it.")
    over: PositiveDuration = Field(default=10.0, description="Over how long.")
    at_least: int = Field(default=20, ge=1, le=1_000_000, description="Requests in that time before it may open.")
    open_for: PositiveDuration = Field(default=5.0, description="How long it stays open.")


class Service(Model):
    """Anything that runs as instances: a command, started as often as `instances` says."""

    command: Command = Field(
        description="What an instance runs: a line or a list of words, no shell. "
        "`{port}`, `{instance}` and `{directory}` are filled in."
    )
    directory: FilePath = Field(
        default=Path(), validate_default=True, description="The working directory, relative to the file."
    )
    environment: dict[Variable, Text] = Field(
        default={},
        description="Variables for the instance; `${env:NAME}` and `${secret:NAME}` are filled in.",
    )
    protocol: Literal["http", "http2", "tcp", "udp", "none"] = Field(
        default="http",
        description="What it speaks; `http2` is HTTP/2 in clear (gRPC), `none` listens to nothing.",
    )
    version: Text = Field(default="", description="Shown in the history; a change is a new revision.")
    instances: Instances = Field(default=InstanceRange(), description="How many run: a number, or min and max.")
    concurrency: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="Requests one instance works on at once; more wait at the edge.",
    )
    wait: Wait = Field(default=Wait(), description="Waiting at the edge.")
    health: Health = Field(default=Health(), description="The active check.")
    balance: Balance = Field(default=BalanceBy(), description="How requests are spread: a name, or with options.")
    sticky: Sticky | None = Field(default=None, description="Keeps a client on its instance.")
    slow_start: Duration = Field(default=0.0, description="How long a new instance's share grows to the full one.")
    eject: Eject = Field(default=Eject(), description="The passive check.")
    backup: Name | None = Field(default=None, description="The service that answers when no instance here is up.")
    resources: Resources = Field(default=Resources(), description="Limits of each instance.")
    stop: Stop = Field(default=Stop(), description="How an instance ends.")
    uses: tuple[Name, ...] = Field(
        default=(), description="Services, databases and caches whose addresses it finds in its environment."
    )
    deployment: Deployment = Field(default=Deployment(), description="How a change goes out.")
    timeout: PositiveDuration = Field(
        default=30.0, description="How long an answer may take; for `tcp` how long a connection may be idle."
    )
    retries: Retries = Field(default=Retries(), description="Repeats of idempotent requests.")
    breaker: Breaker | None = Field(default=None, description="A circuit breaker; `{}` for the usual one.")

    @property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with what an instance is. A secret counts by its name."""
        identity = [self.command, str(self.directory), dict(self.environment), self.version]
        text = json.dumps(identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def search_path(self) -> str:
        """The PATH by which the command was found; the instance should be given the same."""
        return search_path(self.environment)

    @property
    def program(self) -> Path | None:
        """The file that the command runs, None when there is none."""
        return find_program(self.command, self.directory, self.environment)

    def argv(self, *, port: int | None, instance: str) -> tuple[str, ...]:
        """The command of one instance. Its environment's `${secret:NAME}` are not touched here."""
        values: Mapping[str, str] = {
            "port": str(port if port is not None else ""),
            "instance": instance,
            "directory": str(self.directory),
        }
        return fill(self.command, values)
