"""Repeats and breakers that would do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule


def budget_of_something(design: Design) -> Iterator[Finding]:
    """Without repeats there is nothing to limit."""
    for name, service in design.stack.services.items():
        if service.retries.attempts == 0 and "budget" in service.retries.model_fields_set:
            path: Path = ("services", name, "retries", "budget")
            yield Finding(path, f"{dotted(path)} has no effect with attempts: 0", "remove `budget`", key=True)


def breaker_can_open(design: Design) -> Iterator[Finding]:
    """At a share of 0 it would open on good answers."""
    for name, service in design.stack.services.items():
        if service.breaker is not None and service.breaker.errors == 0:
            path: Path = ("services", name, "breaker", "errors")
            message = f"{dotted(path)}: at 0% the breaker would open without any failed answer"
            yield Finding(path, message, "write a share above 0%, e.g. 50%")


RULES: tuple[Rule, ...] = (budget_of_something, breaker_can_open)
