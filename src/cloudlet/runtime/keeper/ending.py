"""The end of a process: noticed, its family ended too, its last words written, and only then reported.

The stop signal goes to the process alone, not to its group: a server with workers ends them in its own order,
and many take a second signal as "now". When it has gone and others of its family are left (`sh -c` dies at
once and leaves the real server behind), they get the stop signal too and what is left of the grace. When it
ended without being asked to, they are killed: nothing may hold the port or the data folder of its successor.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from signal import SIGKILL

from cloudlet.runtime.keeper import cgroup
from cloudlet.runtime.keeper.life import Life, send_all
from cloudlet.runtime.keeper.loop import Loop, say

#: seconds that a killed family may take to be gone (one in uninterruptible sleep may take for ever)
_DEAD_WITHIN = 5.0


class Endings:
    """Sees processes to their end; `report` is called once for each, when nothing of it is left."""

    def __init__(self, loop: Loop, lives: dict[str, Life], report: Callable[[Life], None]) -> None:
        self._loop, self._lives, self._report = loop, lives, report

    def reap(self) -> None:
        """Some child ended: a process, or an orphan that became ours."""
        while (pid := _ended_child()) is not None:
            life = next((life for life in self._lives.values() if life.pid == pid and not life.gone), None)
            if life is not None:
                self.leader_gone(life)
            else:
                os.waitpid(pid, 0)

    def watch(self, life: Life) -> None:
        """An adopted process is no child of ours: its pidfd tells."""
        if not life.child:
            self._loop.watch(life.pidfd, lambda: self.leader_gone(life))

    def stop_at(self, life: Life, kill_at: float) -> None:
        """SIGKILL for what is left at this Unix time."""
        if life.killer is not None:
            life.killer.cancel()
        life.killer = self._loop.later(max(0.0, kill_at - time.time()), lambda: self._kill(life))

    def leader_gone(self, life: Life) -> None:
        self._loop.unwatch(life.pidfd)
        life.gone = True
        family = life.family()  # while a child is not reaped yet, its id cannot be anybody else's
        grace_left = life.record.stopping and (life.record.kill_at or 0.0) > time.time()
        send_all(family, life.record.spec.stop_signal if grace_left else SIGKILL)
        if life.child:
            code = os.waitstatus_to_exitcode(os.waitpid(life.pid, 0)[1])
            life.code, life.signal = (code, None) if code >= 0 else (None, -code)
        if not grace_left:
            self._limit_wait(life)
        self._await_family(life, family)

    def _kill(self, life: Life) -> None:
        life.kill()
        if life.gone:
            self._limit_wait(life)

    def _limit_wait(self, life: Life) -> None:
        if life.killer is not None:
            life.killer.cancel()
        life.killer = self._loop.later(_DEAD_WITHIN, lambda: self._give_up(life))

    def _await_family(self, life: Life, family: list[int]) -> None:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                self._await_one(life, os.pidfd_open(pid))
        if not life.rest:
            self._finish(life)

    def _await_one(self, life: Life, pidfd: int) -> None:
        life.rest.add(pidfd)
        self._loop.watch(pidfd, lambda: self._one_gone(life, pidfd))

    def _one_gone(self, life: Life, pidfd: int) -> None:
        self._loop.unwatch(pidfd)
        os.close(pidfd)
        life.rest.discard(pidfd)
        if life.rest:
            return
        late = life.family()  # whoever was forked meanwhile
        if late and not (life.record.stopping and (life.record.kill_at or 0.0) > time.time()):
            send_all(late, SIGKILL)
        self._await_family(life, late)

    def _give_up(self, life: Life) -> None:
        say(f"{life.name}: {len(life.rest)} of its processes do not die; given up on")
        for pidfd in life.rest:
            self._loop.unwatch(pidfd)
        self._finish(life)

    def _finish(self, life: Life) -> None:
        self._loop.unwatch(life.output.descriptor)
        groups = life.record.groups
        try:
            if cgroup.memory_kills(groups):
                limit = life.record.spec.limits.memory
                life.output.note(f"killed: it used more memory than its limit of {limit} bytes")
            life.output.finish()
        except OSError as error:
            say(f"{life.name}: the end of its output is lost: {error}")
        cgroup.remove(groups)
        life.record.groups = []
        life.close()
        self._report(life)


def _ended_child() -> int | None:
    """The id of a child that ended, which stays to be reaped."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid
