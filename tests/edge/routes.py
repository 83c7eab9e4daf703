"""Routes as the file has them, for the edge."""

from __future__ import annotations

from typing import Any

from cloudlet.contracts.edge import Route
from cloudlet.stack.gateway import Route as Design


def route(path: str, to: str = "", *, host: str | None = None, content: str = "", **more: Any) -> Route:
    """A route by its design; `targets` are (service, weight)."""
    targets = tuple(more.pop("targets", ()))
    services = [{"service": name, "weight": weight} for name, weight in targets] or to or ()
    design = Design.model_validate({"path": path, "host": host, "to": services, **more})
    return Route(path, to, host, design.name or "", design, targets, content)
