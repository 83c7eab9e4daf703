"""An alarm precise to some 50 µs: Linux's timerfd, read by the event loop like any descriptor.

An event loop's own timers go by whole milliseconds (epoll's, and libuv's), which would add up to one to
every latency of an open loop. `os.timerfd_create` exists from Python 3.13 on; until then the C library is
called directly.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
#: seconds; alarms come no closer than this, requests due within it go out together
SHORTEST = 100e-6


class _TimerSpec(ctypes.Structure):
    """struct itimerspec: interval, then the first expiry, each in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Ticker:
    """Calls `on_alarm` on the running loop at the time last set."""

    def __init__(self, on_alarm: Callable[[], None]) -> None:
        self._on_alarm = on_alarm
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._expired)

    def set(self, at: float) -> None:
        """Ring at `at`, in time.monotonic() seconds; at once when that is past."""
        nanoseconds = max(1, int(at * 1e9))
        spec = _TimerSpec(0, 0, *divmod(nanoseconds, 1_000_000_000))
        if self._library.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _expired(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return  # set again since it rang
        self._on_alarm()
