"""When things go wrong: time limits, stored answers, and what is answered instead."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from cloudlet.stack.fields import Duration, Model, Name, PositiveDuration, Shorthand
from cloudlet.stack.findings import Fault
from cloudlet.stack.gateway.targets import Static


def _answer(value: Any) -> Any:
    return {"answer": value} if isinstance(value, (str, int, float)) else value


def _keep(value: Any) -> Any:
    return {} if value in (True, "true") else {"keep": value} if isinstance(value, str) else value


def _fresh(value: Any) -> Any:
    return {"fresh": value} if isinstance(value, str) else value


class Timeouts(Model):
    """By phase. Without them the service's own `timeout` counts."""

    request: PositiveDuration | None = Field(default=None, description="Until the whole request is there, else 408.")
    answer: PositiveDuration | None = Field(default=None, description="Until the answer begins, else 504.")
    idle: PositiveDuration | None = Field(default=None, description="Silence of a WebSocket before it is cut.")


class Idempotency(Model):
    """`Idempotency-Key` is honoured: the first answer is stored and given again."""

    keep: Duration = Field(default=86400.0, description="How long an answer is kept.")
    required: bool = Field(default=False, description="Whether a request without a key is refused with 400.")


class Fallback(Model):
    """What is answered when the service is not there, too slow, or answers 5xx. In this order, what is given."""

    service: Name | None = Field(default=None, description="Another service is asked.")
    cached: Duration | None = Field(default=None, description="The last good answer, up to this old.")
    static: Static | None = Field(default=None, description="An answer written here.")

    @model_validator(mode="after")
    def _something(self) -> Fallback:
        if self.service is None and self.cached is None and self.static is None:
            raise Fault("falls back to nothing", "name `service`, `cached` or `static`")
        return self


class RouteCache(Model):
    """Answers that the edge keeps and gives again; only those that HTTP allows to be shared."""

    fresh: PositiveDuration = Field(description="How long at most.")


TimeoutsOrAnswer = Annotated[Timeouts, Shorthand(_answer, {"type": "string", "title": "duration"})]
IdempotencyOrKeep = Annotated[Idempotency, Shorthand(_keep, {"type": ["string", "boolean"]})]
CacheFor = Annotated[RouteCache, Shorthand(_fresh, {"type": "string", "title": "duration"})]
