"""Routes with `grpc`: a service that speaks it, descriptors that hold what is named, and nothing beside it in vain."""

from __future__ import annotations

from collections.abc import Iterator

from cloudlet.stack.descriptors import descriptor_problem, missing_extra
from cloudlet.stack.findings import Finding, dotted
from cloudlet.stack.gateway import Route
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule


def _finding(index: int, keys: tuple[str | int, ...], message: str, fix: str, *, key: bool = False) -> Finding:
    path: Path = ("gateway", "routes", index, *keys)
    return Finding(path, f"{dotted(path)}: {message}", fix, key=key)


def installed(design: Design) -> Iterator[Finding]:
    """Told once, at the first route."""
    for index, route in design.routes:
        if route.grpc is not None and missing_extra():
            fix = "pip install 'cloudlet[grpc]'"
            yield _finding(index, ("grpc",), "the packages that speak gRPC are not installed", fix, key=True)
            return


def served(design: Design) -> Iterator[Finding]:
    """gRPC is HTTP/2 from end to end."""
    for index, route in design.routes:
        for number, target in enumerate(route.to if route.grpc is not None else ()):
            service = design.stack.services.get(target.service)
            if service is not None and service.protocol != "http2":
                message = f'"{target.service}" has protocol: {service.protocol}, and gRPC needs HTTP/2'
                fix = f"set services.{target.service}.protocol: http2"
                yield _finding(index, ("to", number, "service"), message, fix)


def described(design: Design) -> Iterator[Finding]:
    """The descriptor set holds the service and the method."""
    for index, route in design.routes:
        asked = route.grpc
        if asked is None or asked.descriptors is None or missing_extra():
            continue
        problem = descriptor_problem(asked.descriptors, asked.service, asked.method)
        if problem is not None:
            yield _finding(index, ("grpc", "descriptors"), *problem)


def alone(design: Design) -> Iterator[Finding]:
    """The path says which method is called, so it is taken as the client wrote it."""
    for index, route in design.routes:
        if route.grpc is not None and route.rewrite is not None:
            message = "the path says which gRPC method is called, and is not rewritten before"
            yield _finding(index, ("rewrite",), message, _instead(route), key=True)


def _instead(route: Route) -> str:
    named = route.grpc is not None and route.grpc.method is not None
    return "remove `rewrite`" if named else "write `path` as the descriptors' google.api.http has it"


RULES: tuple[Rule, ...] = (installed, served, described, alone)
