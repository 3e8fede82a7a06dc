"""A row's limit of time, kept by a thread that looks twice a second.

What a row takes is the processor's time of the thread that works on it, where that can be asked
(Linux): a machine that is busy, or asleep, costs no row. A far longer limit by the clock is for
code that waits. A call is ended by an exception that the interpreter raises in its thread; it costs
a row that is quick three attributes and no look at a clock (0.2 µs).

The exception must not reach the thread when its call is over. So the watcher says what it is about
to do before it looks whether the call goes on, and the call says that it is over before it looks
whether the watcher is about to do something; then it waits for the watcher, and what has not been
raised yet is raised there and then.
"""

from __future__ import annotations

import ctypes
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, TypeVar

from batcher.ports.planning import GuardStopped, RowOverran

T = TypeVar("T")
R = TypeVar("R")

MOST_SECONDS: Final = 5.0
"""Of the processor; a row takes some microseconds."""
LONGEST_SECONDS: Final = 60.0
"""By the clock."""
LOOK_SECONDS: Final = 0.5
_MOST_TURNS: Final = 1_000_000
"""Of a loop in which an exception is waited for; it comes at the first."""


class _Ended(BaseException):
    """Raised within a call; not for a kind's own ``except Exception`` to catch."""


class ThreadGuard:
    """Implements :class:`batcher.ports.planning.RowGuard`."""

    def __init__(
        self,
        *,
        most_seconds: float = MOST_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """The limits, of the processor's time and by the clock; the watcher begins with a call."""
        self.most_seconds = most_seconds
        self.longest_seconds = longest_seconds
        self.look_seconds = look_seconds
        self.asked_to_stop = threading.Event()
        self._lock = threading.Lock()
        self._row = 0
        self._busy = False
        self._aiming = False
        self._raised = False
        self._thread = 0
        self._clock: int | None = None

    def call(self, work: Callable[[T], R], row: T) -> R:
        """See :class:`batcher.ports.planning.RowGuard`."""
        if self._thread != threading.get_ident():
            self._enter_thread()
        if self.asked_to_stop.is_set():
            raise GuardStopped
        try:
            self._row += 1
            self._busy = True
            try:
                return work(row)
            finally:
                self._busy = False
                if self._aiming or self._raised:
                    self._take_back()
        except _Ended:
            self._busy = False
            self._raised = False
            if self.asked_to_stop.is_set():
                raise GuardStopped from None
            raise RowOverran(self.most_seconds) from None

    def stop(self) -> None:
        """See :class:`batcher.ports.planning.RowGuard`."""
        self.asked_to_stop.set()
        self.end_call(self._row)

    # --- for the watcher ----------------------------------------------------------------------

    def going_on(self) -> int | None:
        """The number of the row that is being worked on, None between two."""
        return self._row if self._busy else None

    def seconds(self) -> float | None:
        """The processor's time of the thread so far; None where that cannot be asked."""
        if self._clock is None:
            return None
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # the thread has ended
            return None

    def end_call(self, row: int) -> None:
        """Raise in the thread, if it still works on this row."""
        with self._lock:
            self._aiming = True
            if self._busy and self._row == row:
                self._raised = True
                _raise_in(self._thread, _Ended)
            self._aiming = False

    # ------------------------------------------------------------------------------------------

    def _enter_thread(self) -> None:
        """The calls come from this thread from now on."""
        first = self._thread == 0
        self._thread = threading.get_ident()
        if hasattr(time, "pthread_getcpuclockid"):
            self._clock = time.pthread_getcpuclockid(self._thread)
        if first:
            watcher = threading.Thread(
                target=_watch, args=(weakref.ref(self),), name="row-guard", daemon=True
            )
            watcher.start()

    def _take_back(self) -> None:
        """Wait until the watcher has raised what it was about to, and let it not be raised."""
        with self._lock:
            raised = self._raised
        if raised:
            self._raised = False
            # Taken back by None, it would leave the interpreter looking for it for ever: slowly,
            # and with a tracer in circles. So it is raised here, once more if it was before.
            _raise_in(self._thread, _Ended)
            for _ in range(_MOST_TURNS):
                pass
            raise _Ended


def _watch(guarded: weakref.ref[ThreadGuard]) -> None:
    """Look at a guard's calls until it is stopped or gone, and end those that overrun."""
    row: int | None = None
    began, began_seconds = 0.0, 0.0
    while (guard := guarded()) is not None:
        now, seconds = time.monotonic(), guard.seconds() or 0.0
        if row is None or guard.going_on() != row:
            row, began, began_seconds = guard.going_on(), now, seconds
        elif (
            guard.asked_to_stop.is_set()
            or seconds - began_seconds > guard.most_seconds
            or now - began > _longest(guard)
        ):
            guard.end_call(row)
        if guard.asked_to_stop.is_set() and guard.going_on() is None:
            return
        waiting = guard.look_seconds
        stopped = guard.asked_to_stop
        del guard
        if stopped.is_set():
            time.sleep(waiting)
        else:
            stopped.wait(waiting)


def _longest(guard: ThreadGuard) -> float:
    return guard.longest_seconds if guard.seconds() is not None else guard.most_seconds


def _raise_in(thread: int, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
