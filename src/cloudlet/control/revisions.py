"""When an instance is of an old kind: a new process must take on what has changed."""

from __future__ import annotations

import hashlib

from cloudlet.stack import Service


def launch_revision(service: Service) -> str:
    """Names everything that only a new process can take on: the service's revision, and its surroundings."""
    surroundings = (
        service.uses,
        service.resources,
        service.stop.signal,
        service.stop.grace,
        service.protocol,
    )
    return hashlib.sha256(f"{service.revision}{surroundings!r}".encode()).hexdigest()[:12]
