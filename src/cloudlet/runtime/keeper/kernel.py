"""The system calls that Python lacks: prctl(2), capset(2) and pidfd_getfd(2)."""

from __future__ import annotations

import contextlib
import ctypes
import os

CAP_DAC_READ_SEARCH = 2

_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = 2**64 - 1
#: the same number on every architecture (5.6 and later)
_SYS_PIDFD_GETFD = 438
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
#: more than any kernel has; the first unknown one ends the loop
_CAPABILITIES = 64

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(what: str, option: int, first: int = 0, second: int = 0) -> None:
    words = [ctypes.c_ulong(word) for word in (first, second, 0, 0)]
    _check(_libc.prctl(option, *words), what)


def become_subreaper() -> None:
    """Orphans among our descendants become our children, so that they are reaped where PID 1 does not."""
    _prctl("PR_SET_CHILD_SUBREAPER", _PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """No core dumps, and no debugger of the same user: the keeper's memory holds every environment."""
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    """Set-user-id programs and file capabilities give nothing from here on."""
    _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def allow_successor() -> None:
    """Let a process of the same user that is no ancestor take our sockets, where Yama would forbid it."""
    with contextlib.suppress(OSError):  # no Yama, no need
        _prctl("PR_SET_PTRACER", _PR_SET_PTRACER, _PR_SET_PTRACER_ANY)


def drop_to(uid: int, gid: int, *, reads_all: bool) -> bool:
    """Become this user for good, keeping CAP_DAC_READ_SEARCH at most; whether `reads_all` could be kept."""
    _drop_bounding({CAP_DAC_READ_SEARCH} if reads_all else set())
    if reads_all:
        _prctl("PR_SET_KEEPCAPS", _PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    return not reads_all or _keep_only(CAP_DAC_READ_SEARCH)


def _drop_bounding(kept: set[int]) -> None:
    for capability in range(_CAPABILITIES):
        if capability in kept:
            continue
        try:
            _prctl("PR_CAPBSET_DROP", _PR_CAPBSET_DROP, capability)
        except OSError:
            return  # the last one is behind us, or root here lacks CAP_SETPCAP; no_new_privs holds anyway


def _keep_only(capability: int) -> bool:
    """Permitted, effective, inheritable and ambient: exactly this one; False when the machine never granted
    it."""
    header = (ctypes.c_uint32 * 2)(_LINUX_CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if _libc.capset(header, data) < 0:
        nothing = (ctypes.c_uint32 * 6)()
        _check(_libc.capset(header, nothing), "capset")
        return False
    _prctl("PR_CAP_AMBIENT_RAISE", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
    return True


def take_descriptor(pidfd: int, descriptor: int) -> int:
    """A copy of another process's descriptor, close-on-exec. Needs the right to debug it
    (PTRACE_MODE_ATTACH)."""
    return _check(_libc.syscall(_SYS_PIDFD_GETFD, pidfd, descriptor, 0), "pidfd_getfd")
