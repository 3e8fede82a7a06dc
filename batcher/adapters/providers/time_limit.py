"""``asyncio.timeout`` for many tasks at a time, all with the same limit, at the cost of one timer.

A limit each, as aiohttp sets it, is a timer made and cancelled for every request: measured here, a
seventh of all that a small request costs.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class TimeLimit:
    """So many seconds for whatever is done within :meth:`__call__`'s context, task by task."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` hold from when a context is entered, in the loop that runs now."""
        self.seconds = seconds
        self.loop = asyncio.get_running_loop()  # kept: to ask for it is a system call
        self._running: dict[_Limited, None] = {}  # in the order in which they are due
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        """The limit, and how many keep to it now."""
        return f"<TimeLimit of {self.seconds:g} s, {len(self._running)} running>"

    def __call__(self) -> _Limited:
        """A context that is left by ``TimeoutError`` when its time is over.

        A cancellation by anybody else passes through, as with ``asyncio.timeout``.
        """
        return _Limited(self)

    def close(self) -> None:
        """Limit nothing any more."""
        self._running.clear()
        if self._timer is not None:
            self._timer.cancel()

    def begin(self, limited: _Limited) -> float:
        """Count one in; returns when it is due, by the loop's clock."""
        due = self.loop.time() + self.seconds
        self._running[limited] = None
        if self._timer is None:
            self._timer = self.loop.call_at(due, self._expire)
        return due

    def end(self, limited: _Limited) -> None:
        """It is over."""
        self._running.pop(limited, None)

    def _expire(self) -> None:
        """Cancel what is due, and come back for the next: nearly always there is none yet."""
        now = self.loop.time()
        self._timer = None
        for limited in list(self._running):
            if limited.due > now:
                self._timer = self.loop.call_at(limited.due, self._expire)
                return
            self.end(limited)
            limited.expire()


class _Limited:
    """One task's time; a context manager of its own, since a generator's costs four times this."""

    __slots__ = ("_cancelling", "_expired", "_limit", "_task", "due")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task(self._limit.loop)
        assert task is not None, "a time limit is for a task"
        self._task = task
        self._cancelling = task.cancelling()
        self.due = self._limit.begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del traceback
        self._limit.end(self)
        if self._expired:
            others = self._task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not others:
                raise TimeoutError from error

    def expire(self) -> None:
        """Its time is over."""
        self._expired = True
        self._task.cancel()
