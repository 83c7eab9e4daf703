"""Answers that are put together: from several services, or from a gRPC method."""

from __future__ import annotations

from pydantic import Field, model_validator

from cloudlet.stack.fields import FilePath, JsonValue, Model, Name, PositiveDuration, Text
from cloudlet.stack.findings import Fault


class Call(Model):
    """One call of an aggregation. The path's parameters, and `{query}`, are filled in."""

    to: Name = Field(description="The service.")
    path: Text = Field(description="What it is asked for, e.g. `/orders/{id}`.")
    timeout: PositiveDuration = Field(default=1.0, description="After which the answer is partial.")
    required: bool = Field(default=False, description="Without it there is no answer at all, but 502.")


class Aggregate(Model):
    """Several services asked at once, and one answer. What failed is null, and named in `X-Partial`."""

    calls: dict[Name, Call] = Field(description="The calls by name.")
    answer: JsonValue = Field(
        default=None,
        description='The answer; `"{order}"` is a call\'s whole body, `"{order.total}"` a field of it. Each call under '
        "its name where it is left out.",
    )


class Grpc(Model):
    """JSON to gRPC. One of `descriptors` and `reflection`."""

    service: Text = Field(description="The full name, e.g. `shop.v1.Orders`.")
    method: Text | None = Field(default=None, description="The method; by google.api.http or the path where left out.")
    descriptors: FilePath | None = Field(default=None, description="A descriptor set (`protoc -o`).")
    reflection: bool = Field(default=False, description="Asks the server for its descriptors.")

    @model_validator(mode="after")
    def _source(self) -> Grpc:
        if (self.descriptors is None) != self.reflection:
            raise Fault("needs one source of descriptors", "give `descriptors: FILE` or `reflection: true`")
        return self
