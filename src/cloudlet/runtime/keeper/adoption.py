"""A new keeper takes over from a dead one: what runs goes on, what ended meanwhile is treated as ended
now."""

from __future__ import annotations

from pathlib import Path

from cloudlet.runtime.keeper import procfs
from cloudlet.runtime.keeper.loop import say
from cloudlet.runtime.keeper.output import Output
from cloudlet.runtime.keeper.processes import Processes
from cloudlet.runtime.keeper.record import Record, State
from cloudlet.runtime.keeper.sockets import Sockets


def adopt(state: State, processes: Processes, sockets: Sockets, run: Path) -> None:
    """Find every process of the state again, then the sockets in their hands."""
    for name, record in tuple(state.processes.items()):
        if record.exit is None and not _find(record, run):
            say(f"{name} was about to be started and was not; dropped")
            del state.processes[name]
    sockets.regain(_users(state))
    for record in tuple(state.processes.values()):
        if record.exit is None:
            _take_over(record, processes, run)


def _find(record: Record, run: Path) -> bool:
    """Make sure of its process id; false for one that never started. A keeper may be killed right after a
    fork."""
    if record.pid is not None and procfs.runs(record.pid, record.started_ticks):
        return True
    found = procfs.leader_of(run / f"{record.spec.name}.fifo")
    if found is not None:
        record.pid, record.started_ticks = found.pid, found.started
        record.started = procfs.unix_time(found.started)
    return record.pid is not None


def _users(state: State) -> dict[str, list[int]]:
    """Socket → the processes that should have it."""
    users: dict[str, list[int]] = {}
    for record in state.processes.values():
        if record.exit is None and record.pid is not None:
            for socket in record.spec.sockets:
                users.setdefault(socket, []).append(record.pid)
    return users


def _take_over(record: Record, processes: Processes, run: Path) -> None:
    assert record.pid is not None
    output = Output(run, record.spec.name, Path(record.spec.log))
    if procfs.runs(record.pid, record.started_ticks):
        try:
            processes.take_over(record, output, child=False)
            return
        except ProcessLookupError:
            pass  # it ended this instant
    processes.bury(record, output)
