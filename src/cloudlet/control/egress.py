"""The forward proxy of a stack as a service of cloudlet's own, and how instances find it.

    cloudlet-egress   there when the file has `egress`; every other service of the file then uses it

That it is in their `uses` gives it an internal listener with a lasting port, and makes turning it on a new revision
of whoever must learn the way. It reads one file, private to its user, named by its content: changed rules are a new
revision of the proxy alone.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from cloudlet.contracts.egress import CONFIGURATION, EgressConfiguration, digest
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import User
from cloudlet.control.private_files import write_newest
from cloudlet.identity.secrets import Secrets
from cloudlet.stack import OWN_PREFIX, Service, Stack

EGRESS = f"{OWN_PREFIX}egress"
#: two, so that one may be restarted or replaced while the other takes what is new
_INSTANCES = 2
_AT_ONCE = 4096
#: seconds that the edge waits longer for a silent tunnel than the proxy, so that the proxy ends it and logs why
_LATER = 60.0
#: seconds that tunnels are given when an instance of the proxy is replaced
_DRAIN = 60.0


class Outbound:
    """Adds the proxy to a design, writes its file, and says how to reach it."""

    def __init__(self, paths: StatePaths, secrets: Secrets) -> None:
        self._folder, self._secrets = paths.root / "own", secrets

    def complete(self, stack: Stack) -> Stack:
        """The design with the proxy, used by every service of the file. Unchanged without `egress`."""
        if stack.egress is None:
            return stack
        services = {
            name: service.model_copy(update={"uses": (*service.uses, EGRESS)}) if _confined(name) else service
            for name, service in stack.services.items()
        }
        return stack.model_copy(update={"services": {**services, EGRESS: self._service(stack)}})

    def _service(self, stack: Stack) -> Service:
        assert stack.egress is not None, "who asks has looked"
        command = [sys.executable, "-m", "cloudlet.gateway.egress", "--port", "{port}", "--config"]
        return Service.model_validate(
            {
                "command": [*command, str(self._file(stack))],
                "directory": self._folder,
                "protocol": "tcp",
                "instances": {"min": _INSTANCES, "max": 2 * _INSTANCES},
                "concurrency": _AT_ONCE,
                "health": {"interval": 0.5, "fall": 2},
                "timeout": stack.egress.idle + _LATER,
                "stop": {"drain": _DRAIN},
            },
            context={"directory": self._folder},
        )

    def write(self, stack: Stack, user: User | None) -> None:
        """Write the proxy's file where the design has `egress`. Raises DependencyError."""
        if stack.egress is None:
            return
        file = self._file(stack)
        write_newest(file, CONFIGURATION.dump_json(self._configuration(stack)), user, "egress-*.json")

    def environment(self, stack: Stack, service: str, host: str, port: int) -> dict[str, str]:
        """What lets a service's programs find the proxy, which listens at `host` and `port`. In both spellings: curl
        reads `http_proxy` in small letters only, others only in capitals."""
        credential = self._secrets.credential(service, EGRESS)
        address = f"http://{service}:{credential.password.reveal()}@{host}:{port}"
        # a leading dot covers what is below a name; not every program knows networks, and 127.0.0.1 covers ours
        around = ",".join(
            ("localhost", ".localhost", "127.0.0.1", "127.0.0.0/8", "::1", stack.domain, f".{stack.domain}")
        )
        found = {"http_proxy": address, "https_proxy": address, "no_proxy": around}
        return found | {name.upper(): value for name, value in found.items()}

    def _file(self, stack: Stack) -> Path:
        content = CONFIGURATION.dump_json(self._configuration(stack))
        return self._folder / f"egress-{hashlib.sha256(content).hexdigest()[:12]}.json"

    def _configuration(self, stack: Stack) -> EgressConfiguration:
        egress = stack.egress
        assert egress is not None, "who asks has looked"
        names = sorted(confined(stack))
        return EgressConfiguration(
            credentials={self._digest(name): name for name in names},
            rules={name: egress.rules(name) for name in names},
            cache=(egress.cache or 0) // _INSTANCES,
            log_all=egress.log == "all",
            idle=egress.idle,
            most=_AT_ONCE,
            most_of_one=_AT_ONCE // 2,
        )

    def _digest(self, service: str) -> str:
        return digest(service, self._secrets.credential(service, EGRESS).password.reveal())


def confined(stack: Stack | Mapping[str, Service]) -> list[str]:
    """The services that go out by the proxy: the file's, not cloudlet's own."""
    services = stack.services if isinstance(stack, Stack) else stack
    return [name for name in services if _confined(name)]


def _confined(name: str) -> bool:
    return not name.startswith(OWN_PREFIX)


def warnings(stack: Stack) -> list[str]:
    """What `status` says of outbound traffic."""
    if stack.egress is None or stack.egress.mode == "enforced":
        return []
    return ["egress is advisory: services are told the proxy, and nothing keeps them from going around it"]
