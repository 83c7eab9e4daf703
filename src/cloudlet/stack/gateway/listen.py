"""The addresses that people use."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from cloudlet.stack.fields import Address, Model, Port


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
