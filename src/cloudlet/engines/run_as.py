"""Run by path, as `python run_as.py UID GID READS_ALL PROGRAM ARGUMENTS…`: becomes that user and program.

A program of its own because changing user in a forked copy of a threaded daemon (`preexec_fn`) can deadlock.
UID and GID -1 keep the user. The program gets SIGKILL when the thread that started it ends, so that a killed
cloudlet leaves no half-done initialisation running. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# <linux/prctl.h> and <linux/capability.h>
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def become(uid: int, gid: int, *, reads_all: bool) -> None:
    """Give up root for good; with `reads_all` keep the capability to read and pass through everything."""
    _prctl(_PR_SET_KEEPCAPS, int(reads_all))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if reads_all:
        _set_capabilities(1 << _CAP_DAC_READ_SEARCH)
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH)


def _prctl(option: int, *arguments: int) -> None:
    values = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    _check(_libc.prctl(ctypes.c_int(option), *values), f"prctl {option}")


def _set_capabilities(mask: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    _check(_libc.capset(header, effective_permitted_inheritable), "capset")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def main(uid: str, gid: str, reads_all: str, *command: str) -> None:
    if int(uid) != -1:
        become(int(uid), int(gid), reads_all=reads_all == "1")
    os.umask(0o077)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(command[0], command)  # noqa: S606 - to become that program is its job


if __name__ == "__main__":
    main(*sys.argv[1:])
