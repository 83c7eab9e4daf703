"""When things go wrong: time limits, stored answers, and what is answered instead."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from cloudlet.stack import units
from cloudlet.stack.fields import Duration, Model, Name, PositiveDuration, Shorthand, text
from cloudlet.stack.findings import Fault
from cloudlet.stack.gateway.targets import Static


def _answer(value: Any) -> Any:
    return {"answer": value} if isinstance(value, (str, int, float)) else value


def _keep(value: Any) -> Any:
    return {} if value in (True, "true") else {"keep": value} if isinstance(value, str) else value


def _fresh(value: Any) -> Any:
    return {"fresh": value} if isinstance(value, str) else value


def _whole_seconds(value: float) -> float:
    if value < 1 or value != round(value):
        raise Fault(f"{units.format_duration(value)} is no whole number of seconds", "write 1s or more")
    return value


WholeSeconds = Annotated[Duration, AfterValidator(_whole_seconds), text(units.DURATION_PATTERN, "duration")]


class Timeouts(Model):
    """By phase. Without them the service's own `timeout` counts."""

    request: PositiveDuration | None = Field(
        default=None, description="Until the request is there (of a body the first 15 kB), else 408."
    )
    answer: PositiveDuration | None = Field(default=None, description="Until the answer begins, else 504.")
    idle: PositiveDuration | None = Field(default=None, description="Silence of a WebSocket before it is cut.")


class Idempotency(Model):
    """`Idempotency-Key` is honoured: the first answer is stored and given again."""

    keep: PositiveDuration = Field(default=86400.0, description="How long an answer is kept.")
    required: bool = Field(default=False, description="Whether a request without a key is refused with 400.")


class Fallback(Model):
    """What is answered when the service is not there, too slow, or answers 5xx. In this order, what is given."""

    service: Name | None = Field(default=None, description="Another service is asked.")
    cached: PositiveDuration | None = Field(default=None, description="The last good answer, up to this old.")
    static: Static | None = Field(default=None, description="An answer written here.")

    @model_validator(mode="after")
    def _something(self) -> Fallback:
        if self.service is None and self.cached is None and self.static is None:
            raise Fault("falls back to nothing", "name `service`, `cached` or `static`")
        return self


class RouteCache(Model):
    """Answers that the edge keeps and gives again; only those that HTTP allows to be shared, and none to a request with
    `Authorization` or cookies."""

    fresh: WholeSeconds = Field(description="How long at most, in whole seconds.")
    cookies: bool = Field(
        default=False,
        description="Whether requests with cookies count too, for a service whose answers never depend on them.",
    )


TimeoutsOrAnswer = Annotated[Timeouts, Shorthand(_answer, {"type": "string", "title": "duration"})]
IdempotencyOrKeep = Annotated[Idempotency, Shorthand(_keep, {"type": ["string", "boolean"]})]
CacheFor = Annotated[RouteCache, Shorthand(_fresh, {"type": "string", "title": "duration"})]
