"""Waiting for descriptors, times and signals, in one thread."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable

Action = Callable[[], None]


class Timer:
    """An action to come; `cancel` it as often as you like."""

    __slots__ = ("action",)

    def __init__(self, action: Action) -> None:
        self.action: Action | None = action

    def cancel(self) -> None:
        self.action = None


class Loop:
    """Calls back when something can be read or written, when its time has come, or when a signal arrived."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._signals: dict[int, Action] = {}
        self._running = True
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self.watch(reading, lambda: self._signalled(reading))

    def watch(self, descriptor: int, readable: Action | None, writable: Action | None = None) -> None:
        events = (selectors.EVENT_READ if readable else 0) | (selectors.EVENT_WRITE if writable else 0)
        actions = (readable, writable)
        if descriptor in self._selector.get_map():
            self._selector.modify(descriptor, events, actions)
        else:
            self._selector.register(descriptor, events, actions)

    def unwatch(self, descriptor: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(descriptor)

    def later(self, delay: float, action: Action) -> Timer:
        """After `delay` seconds, never before this turn has ended."""
        timer = Timer(action)
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._order), timer))
        return timer

    def on_signal(self, number: int, action: Action) -> None:
        self._signals[number] = action
        signal.signal(number, lambda *_: None)  # a handler must be there for the number to be written

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        while self._running:
            for key, events in self._selector.select(self._patience()):
                readable, writable = key.data
                if events & selectors.EVENT_READ and readable:
                    _guarded(readable)
                if events & selectors.EVENT_WRITE and writable:
                    _guarded(writable)
            self._run_timers()

    def _patience(self) -> float | None:
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.action is not None:
                _guarded(timer.action)

    def _signalled(self, descriptor: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in set(os.read(descriptor, 4096)):
                self._signals.get(number, lambda: None)()


def _guarded(action: Action) -> None:
    """A bug in one action must not end the parent of everything."""
    try:
        action()
    except Exception:
        traceback.print_exc()


def say(message: str) -> None:
    """To the keeper's own log; a full disk is no reason to stop."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with contextlib.suppress(OSError, ValueError):
        print(stamp, message, file=sys.stderr, flush=True)
