"""How an instance is run: its command, its environment, its user, and when it counts as ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import Limits, ProcessSpec, Restart, User
from cloudlet.control.desired import Desired
from cloudlet.control.instances import SERVICE_LABEL
from cloudlet.control.readiness import Probe, wait_ready
from cloudlet.control.revisions import launch_revision
from cloudlet.control.store import Instance
from cloudlet.errors import OperatorError
from cloudlet.identity.secrets import Secrets
from cloudlet.runtime.environment import instance_environment
from cloudlet.runtime.ports import free_port
from cloudlet.stack import Service, fill_secrets, secret_names

_LOOPBACK = "127.0.0.1"


class ServiceLauncher:
    """Launches instances of the services that are desired.

    `uses` gives the environment of each name a service uses, by service; `user_of` whom a service runs as.
    """

    def __init__(
        self,
        paths: StatePaths,
        secrets: Secrets,
        desired: Desired,
        uses: Callable[[str], Mapping[str, Mapping[str, str]]],
        user_of: Callable[[str], User | None],
        ports_taken: Callable[[], set[int]],
    ) -> None:
        self._paths, self._secrets = paths, secrets
        self._desired = desired
        self._uses, self._user_of, self._ports_taken = uses, user_of, ports_taken

    def port(self) -> int:
        return free_port(self._ports_taken())

    def revision(self, service: str) -> str:
        return launch_revision(self._desired.service(service))

    def process(self, instance: Instance) -> ProcessSpec:
        service = self._desired.service(instance.service)
        return ProcessSpec(
            name=instance.name,
            argv=service.argv(port=instance.port, instance=instance.name),
            directory=service.directory,
            environment=self._environment(service, instance),
            log=self._paths.log(instance.name),
            user=self._user_of(instance.service),
            restart=Restart.UNATTENDED,
            stop_signal=service.stop.signal,
            grace=service.stop.grace,
            limits=Limits(cpu=service.resources.cpu, memory=service.resources.memory),
            labels={SERVICE_LABEL: instance.service, "revision": instance.revision},
        )

    def _environment(self, service: Service, instance: Instance) -> dict[str, str]:
        own = {"PATH": service.search_path}
        own |= {name: self._filled(value, instance) for name, value in service.environment.items()}
        return instance_environment(
            stack=self._desired.stack.name,
            service=instance.service,
            instance=instance.name,
            port=instance.port,
            host=_LOOPBACK,
            own=own,
            uses=self._uses(instance.service),
        )

    def _filled(self, value: str, instance: Instance) -> str:
        try:
            secrets = {name: self._secrets.read(name).reveal() for name in secret_names(value)}
        except OperatorError as error:
            raise OperatorError(f"cannot start {instance.name}: {error}") from error
        return fill_secrets(value, secrets)

    async def ready(self, instance: Instance) -> None:
        service = self._desired.service(instance.service)
        if service.protocol == "none":
            return
        health = service.health
        await wait_ready(
            Probe(
                host=_LOOPBACK,
                port=instance.port,
                timeout=health.timeout,
                path=health.path,
                http2=service.protocol == "http2",
                datagram=service.protocol == "udp",
                expect=health.expect,
            )
        )
