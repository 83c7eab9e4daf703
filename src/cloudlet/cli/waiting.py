"""Waiting for a stack, with what it is waiting for in sight, and the reasons when it was in vain."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import click

from cloudlet.cli.console import err
from cloudlet.cli.printing import STYLES
from cloudlet.control.views import EngineStatus, InstanceStatus, ServiceStatus, StackStatus
from cloudlet.errors import CloudletError, NotRunning, Unhealthy

if TYPE_CHECKING:
    from rich.live import Live

    from cloudlet.cli.client import ControlClient

#: seconds between two looks
_INTERVAL = 0.1
#: how many sick instances and engines get their last log lines shown, and how many lines each
_MOST_SICK, _LOG_LINES = 3, 8


def never() -> bool:
    return False


def wait_answering(client: ControlClient, timeout: float, *, ended: Callable[[], bool] = never) -> None:
    """Return when the daemon answers. Raises Unhealthy."""
    deadline = time.monotonic() + timeout
    while client.version() is None:
        if ended() or time.monotonic() > deadline:
            raise Unhealthy(f"cloudlet does not answer after {timeout:g} s; see .cloudlet/logs/cloudlet.log")
        time.sleep(_INTERVAL)


def wait_healthy(client: ControlClient, timeout: float, *, ended: Callable[[], bool] = never) -> StackStatus:
    """Return when every instance wanted serves, as the file describes it now, and every engine answers.

    Raises Unhealthy with the reasons when that takes too long, when nothing that could still change it is
    left, or when `ended` says so.
    """
    began = time.monotonic()
    with _View() as view:
        while True:
            try:
                status = client.status()
            except NotRunning as error:
                status, missing = None, error
            if status is not None:
                view.show(status)
                if settled(status):
                    return status
                if hopeless(status):
                    break
            if ended() or time.monotonic() - began > timeout:
                break
            time.sleep(_INTERVAL)
    if status is None:
        raise Unhealthy(str(missing))
    raise Unhealthy(diagnosis(client, status, time.monotonic() - began))


def settled(status: StackStatus) -> bool:
    """Whether all is healthy, and by instances of the wanted revision rather than those they replace."""
    return status.state == "healthy" and all(
        sum(i.phase == "serving" and i.revision == s.revision for i in s.instances) >= s.wanted for s in status.services
    )


def hopeless(status: StackStatus) -> bool:
    """Whether waiting on is of no use: whatever is not healthy crashes again and again."""
    services = {service.state for service in status.services} - {"healthy", "stopped"}
    return services == {"crash-looping"} and all(engine.state == "ready" for engine in status.engines)


def diagnosis(client: ControlClient, status: StackStatus, waited: float) -> str:
    """What is not healthy, why, and the last it wrote."""
    lines = [f"not healthy after {waited:.0f} s: {status.because}"]
    sick: list[InstanceStatus | EngineStatus] = [e for e in status.engines if e.state != "ready"]
    sick += [i for s in status.services for i in s.instances if i.phase != "serving"]
    for one in sick[:_MOST_SICK]:
        state = one.state if isinstance(one, EngineStatus) else one.phase
        lines.append(f"  {one.name}: {state}" + (f" because {one.because}" if one.because else ""))
        lines += [f"    | {line}" for line in _last_lines(client, one.name)]
    if len(sick) > _MOST_SICK:
        lines.append(f"  and {len(sick) - _MOST_SICK} more: `cloudlet status`")
    return "\n".join(lines)


def _last_lines(client: ControlClient, name: str) -> list[str]:
    try:
        return [row["line"] for row in client.logs({"instance": name, "tail": _LOG_LINES})]
    except CloudletError:
        return []


def show_ready(status: StackStatus) -> None:
    """The moment somebody waited for: what can be opened now."""
    count = sum(service.ready for service in status.services if not service.hidden)
    click.echo(f"{status.name} is healthy: {count} instances serve")
    width = max((len(address.name) for address in status.addresses), default=0)
    for address in status.addresses:
        click.echo(f"  {address.name:{width}}  {address.url}")


class _View:
    """Progress on standard error: one live block on a terminal, one line per change elsewhere."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._live: Live | None = None
        if err().is_terminal:
            from rich.live import Live

            self._live = Live(console=err(), auto_refresh=False, transient=True)

    def __enter__(self) -> _View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: StackStatus) -> None:
        states = {engine.name: engine.state for engine in status.engines}
        states |= {s.name: _progress(s) for s in status.services if not s.hidden}
        if self._live is not None:
            self._draw(states)
            return
        for name, state in states.items():
            if self._said.get(name) != state:
                err().print(f"{name}: {state}", soft_wrap=True)
        self._said = states

    def _draw(self, states: dict[str, str]) -> None:
        from rich.text import Text

        width = max(map(len, states), default=0)
        lines = [Text.assemble(f"  {n:{width}}  ", (s, STYLES.get(s.split(",")[0], ""))) for n, s in states.items()]
        if self._live is not None:
            self._live.update(Text("\n").join(lines), refresh=True)


def _progress(service: ServiceStatus) -> str:
    return f"{service.state}, {service.ready} of {service.wanted} serve"
