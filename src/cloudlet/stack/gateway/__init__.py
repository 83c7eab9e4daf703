"""The gateway's part of the file."""

from cloudlet.stack.gateway.gateway import Compression, Gateway
from cloudlet.stack.gateway.listen import Listen
from cloudlet.stack.gateway.route import Route

__all__ = ["Compression", "Gateway", "Listen", "Route"]
