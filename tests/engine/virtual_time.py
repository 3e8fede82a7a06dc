"""An event loop whose time passes when nobody has anything to do.

Sockets and threads are real: as long as one of them may have news the loop waits for it, and time
stands still. Then the clock jumps to the next timer. So an hour of backoff takes milliseconds, and
everything that asks the loop, or a :class:`LoopClock`, sees an hour go by.
"""

from __future__ import annotations

import asyncio
import functools
import os
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

EPOCH_WALL = 1_700_000_000.0
_LOOKS = 3
_THREAD_SECONDS = 5.0
_MOST_SECONDS = 7 * 24 * 3600.0

P = ParamSpec("P")
T = TypeVar("T")
Ready = list[tuple[selectors.SelectorKey, int]]


class _Selector(selectors.DefaultSelector):
    """Reports what is ready; where nothing is and no thread works, lets time pass instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Ready:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.loop.threads:
            return super().select(_THREAD_SECONDS)
        for _ in range(_LOOKS):  # what was written to a socket here is there at once, or almost
            os.sched_yield()
            if ready := super().select(0):
                return ready
        if timeout is None:
            return super().select(_THREAD_SECONDS)
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop; ``now`` is its time, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.threads = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        if self.now > 1000.0 + _MOST_SECONDS:
            raise TimeoutError("a week has passed: nothing will ever happen here")
        return self.now

    def run_in_executor(  # type: ignore[override]  # typeshed's has a variadic type of its own
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        self.threads += 1
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Threads are joined by a thread; whoever gives up on them would do so in no time here."""
        del timeout
        self.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.threads -= 1

    def _thread_ended(self, future: asyncio.Future[Any]) -> None:
        del future
        self.threads -= 1


class LoopClock:
    """The time of the loop it was made in (:class:`batcher.ports.Clock`), for any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return EPOCH_WALL + self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Run a coroutine test to its end in a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run
