"""What one kind of client gets of an answer. The first view whose condition holds is taken; else the whole answer."""

from __future__ import annotations

from collections.abc import Mapping

from cloudlet.gateway.bodies import Change, change, change_response, plain
from cloudlet.gateway.devices import SOURCES, device
from cloudlet.gateway.request import Handler, Request, Step
from cloudlet.gateway.response import Response
from cloudlet.stack.gateway.shaping import View

#: says which view was taken
VIEW = "x-view"


def step(views: Mapping[str, View]) -> Step | None:
    if not views:
        return None
    changes = {name: change(view.response) for name, view in views.items()}
    varies = _varies(views)

    def wrap(then: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            name = taken(views, request)
            apply: Change | None = changes[name] if name else None
            if apply is not None:
                plain(request)
            response = await then(request)
            if apply is not None:
                response = await change_response(response, apply)
            response.headers.add_vary(*varies)
            if name:
                response.headers.set(VIEW, name)
            return response

        return handle

    return wrap


def taken(views: Mapping[str, View], request: Request) -> str:
    """The name of the view; empty where none holds."""
    kind = device(request.headers)
    for name, view in views.items():
        if (view.device is None or view.device == kind) and _headers_hold(view, request):
            return name
    return ""


def _headers_hold(view: View, request: Request) -> bool:
    found = ((wanted, request.headers.get(name.lower())) for name, wanted in view.header.items())
    return all(value == wanted or (wanted == "any" and value) for wanted, value in found)


def _varies(views: Mapping[str, View]) -> list[str]:
    named = [name for view in views.values() for name in view.header]
    return [*(SOURCES if any(view.device for view in views.values()) else ()), *dict.fromkeys(named)]
