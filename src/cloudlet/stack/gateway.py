"""The gateway: the addresses that people use, and which service answers what."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from cloudlet.stack.fields import PATH_PATTERN, Address, Host, Model, Name, Port, matching, text

_ROUTE_PATTERN = PATH_PATTERN.removesuffix("$") + r"(?:(?<=/)\*)?$"


def _off(value: Any) -> Any:
    return None if value == "off" else value


OptionalPort = Annotated[
    Port | None,
    BeforeValidator(_off),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 65535},
                {"type": "null"},
                {"type": "string", "const": "off"},
                {"type": "boolean", "const": False},
            ],
            "title": "port or off",
        }
    ),
]


class Listen(Model):
    """Where the gateway listens. Port 0 takes any free one, `off` listens not at all."""

    http: OptionalPort = Field(default=8080, description="The port for HTTP.")
    https: OptionalPort = Field(default=8443, description="The port for HTTPS.")
    address: Address = Field(default="127.0.0.1", description="The address to listen on; 0.0.0.0 for every network.")


class Route(Model):
    """Requests for `host` and `path` go to a service. The specific route wins over the general one."""

    host: Host | None = Field(default=None, description="The host asked for; without it any.")
    path: Annotated[
        str,
        matching(_ROUTE_PATTERN, "a path of a route", "write /exact or /prefix/*"),
        text(PATH_PATTERN.removesuffix("$") + r"\*?$", "path"),
    ] = Field(description="`/exact`, or `/prefix/*`, which takes `/prefix` too; `/*` takes everything.")
    to: Name = Field(description="The service that answers.")


class Gateway(Model):
    """The front door."""

    listen: Listen = Field(default=Listen(), description="Ports and address.")
    routes: tuple[Route, ...] = Field(default=(), description="Which service answers what; all else gets 404.")
