"""What cloudlet adds to a design so that it can do what the file asks for: services, a store and routes of its own.

    cloudlet-gateway   what the edge alone cannot do; there when a route or a credential needs it
    cloudlet-store     a Valkey for stored answers, which refuses new ones when it is full
    cloudlet-limits    a Valkey for counts, which forgets those that were not used for longest

They are ordinary from then on: started, checked, balanced, scaled and replaced by the same machinery as the file's.
The gateway service reads one file, private to its user, whose name changes with what is in it: a changed one is a new
revision of the service.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from cloudlet.contracts.gateway import CONFIGURATION, OWN_PATHS, GatewayConfiguration
from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import HeldSocket, User
from cloudlet.control.api_keys import records_file
from cloudlet.control.private_files import write_newest
from cloudlet.control.secret_values import issuing_key, with_secrets
from cloudlet.control.topology import GATEWAY, LIMITS, STORE, SocketRequest, route
from cloudlet.errors import OperatorError
from cloudlet.identity.secrets import Secrets
from cloudlet.policy.needs import needs_gateway, needs_limits, needs_store
from cloudlet.stack import Cache, Route, Service, Stack
from cloudlet.stack.documents import files

_STORE_MEMORY = 64_000_000
#: secrets that cloudlet makes for itself
SESSION, ASK = "cloudlet-session", "cloudlet-ask"


class Own:
    """Completes designs, and writes what the services it adds read."""

    def __init__(self, paths: StatePaths, secrets: Secrets) -> None:
        self._folder, self._secrets = paths.root / "own", secrets
        self._api_keys = records_file(paths)

    def complete(self, stack: Stack) -> Stack:
        """The design with what cloudlet adds. Raises OperatorError when a secret that it names is not there."""
        store = needs_store(stack)
        needed = {STORE: store, LIMITS: needs_limits(stack)}
        own = {name: Cache(memory=_STORE_MEMORY) for name, wanted in needed.items() if wanted}
        caches = {**stack.caches, **own}
        completed = stack.model_copy(update={"caches": caches})
        if needs_gateway(stack):
            assert stack.gateway is not None, "only routes need the gateway service"
            routes = (*stack.gateway.routes, *own_routes(stack))
            service = self._gateway(stack, store=store)
            update = {
                "gateway": stack.gateway.model_copy(update={"routes": routes}),
                "services": {**stack.services, GATEWAY: service},
            }
            completed = completed.model_copy(update=update)
        return completed

    def _gateway(self, stack: Stack, *, store: bool) -> Service:
        assert stack.gateway is not None, "only routes need the gateway service"
        services = dict.fromkeys(name for item in stack.gateway.routes for name in item.services)
        return Service.model_validate(
            {
                "command": [
                    sys.executable,
                    "-m",
                    "cloudlet.gateway",
                    "--port",
                    "{port}",
                    "--config",
                    str(self._file(stack)),
                ],
                "directory": self._folder,
                "instances": {"min": 1, "max": 8},
                "concurrency": 1000,
                "health": {"path": f"{OWN_PATHS}health", "interval": 0.5, "fall": 2},
                "uses": [*services, *([STORE] if store else [])],
                "timeout": 3600.0,
            },
            context={"directory": self._folder},
        )

    def write(
        self, stack: Stack, held: Iterable[tuple[SocketRequest, HeldSocket]], store: str, user: User | None
    ) -> None:
        """Write the gateway service's file, where the completed design has that service. `store` is its URL."""
        if GATEWAY not in stack.services:
            return
        addresses = {
            request.backend: f"http://{socket.host}:{socket.port}"
            for request, socket in held
            if request.internal and request.backend in stack.services
        }
        file = self._file(stack)
        content = CONFIGURATION.dump_json(self._configuration(stack, addresses, store))
        write_newest(file, content, user, "gateway-*.json")

    def _file(self, stack: Stack) -> Path:
        content = CONFIGURATION.dump_json(self._configuration(stack, {}, ""))
        digest = hashlib.sha256(content)
        for document in documents(stack):
            digest.update(_content(document))
        return self._folder / f"gateway-{digest.hexdigest()[:12]}.json"

    def _configuration(self, stack: Stack, services: Mapping[str, str], store: str) -> GatewayConfiguration:
        assert stack.gateway is not None, "only routes need the gateway service"
        routes = [route(design) for design in stack.gateway.routes]
        return GatewayConfiguration(
            routes={item.label: item.design for item in routes if item.design and item.design.needs_gateway},
            services=services,
            http2=frozenset(name for name, service in stack.services.items() if service.protocol == "http2"),
            # passwords are the edge's affair
            identity=with_secrets(stack.identity.model_copy(update={"basic": {}}), self._secrets),
            store=store,
            session_key=self._secrets.get_or_create(SESSION).reveal(),
            issuing_key=issuing_key(self._secrets) if any(j.issue for j in stack.identity.jwt.values()) else "",
            ask_secret=self._secrets.get_or_create(ASK).reveal(),
            api_keys=self._api_keys if stack.identity.api_keys else None,
        )


def documents(stack: Stack) -> list[Path]:
    """The files that the gateway service reads for routes."""
    routes = stack.gateway.routes if stack.gateway else ()
    return list(dict.fromkeys(path for item in routes if item.needs_gateway for path in files(item)))


def _content(document: Path) -> bytes:
    try:
        return document.read_bytes()
    except OSError as error:
        raise OperatorError(f"{document} cannot be read: {error.strerror}; a route of the file needs it") from error


def own_routes(stack: Stack) -> list[Route]:
    """Paths of the gateway itself that people and machines reach: at any host, and at each that has routes of its own,
    for those would win otherwise."""
    identity, hosts = stack.identity, [item.host for item in stack.gateway.routes] if stack.gateway else []
    paths = [f"{OWN_PATHS}signin/*", f"{OWN_PATHS}signout/*"] if identity.oidc else []
    issuers = [jwt for jwt in identity.jwt.values() if jwt.issue]
    paths += [f"{OWN_PATHS}keys/*"] if issuers else []
    paths += dict.fromkeys(jwt.issue.path for jwt in issuers if jwt.issue)
    return [Route(host=host, path=path, to=GATEWAY) for host in dict.fromkeys((None, *hosts)) for path in paths]
