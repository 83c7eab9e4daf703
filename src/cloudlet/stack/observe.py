"""Who is told what was measured."""

from __future__ import annotations

import importlib.util
import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from cloudlet.stack.fields import Model, PositiveDuration
from cloudlet.stack.findings import Fault

_URL = re.compile(
    r"https?://[A-Za-z0-9._-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?|https?://\[[0-9a-f:.]+\](?::[0-9]{1,5})?/?"
)
_MODULE = "opentelemetry.exporter.otlp.proto.http"


def _collector(value: str) -> str:
    if not _URL.fullmatch(value):
        raise Fault(f'"{value}" is no address of a collector', "write http://HOST:4318, without user or query")
    return value.rstrip("/")


Collector = Annotated[str, AfterValidator(_collector), WithJsonSchema({"type": "string", "title": "URL"})]


class Metrics(Model):
    """Numbers pushed to a collector. What Prometheus may fetch is there without it (docs/guides/observing.md)."""

    otlp: Collector = Field(description="The collector's address for OTLP over HTTP; `/v1/metrics` is added.")
    every: PositiveDuration = Field(default=10.0, ge=1, description="How often.")

    @model_validator(mode="after")
    def _installed(self) -> Metrics:
        if not _is_installed():
            raise Fault("needs the exporter of OpenTelemetry, which is not installed", "pip install 'cloudlet[otlp]'")
        return self


class Observe(Model):
    """What is done with what cloudlet measures."""

    metrics: Metrics | None = Field(default=None, description="Pushes metrics over OTLP.")


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(_MODULE) is not None
    except ModuleNotFoundError:
        return False
