"""An event loop on a thread of its own, for callers who have none, or whose own is running.

What the caller waits for goes on while he does, whatever his own loop does. ctrl-C ends it in good
order first, and at once when it comes again.
"""

from __future__ import annotations

import asyncio
import contextvars
import signal
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread
from types import TracebackType
from typing import Any, Self, TypeVar

_T = TypeVar("_T")


class LoopThread:
    """A context manager: the loop runs within it."""

    def __init__(
        self, name: str, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    ) -> None:
        """``name`` is the thread's."""
        self._loop_factory = loop_factory
        self._there = Event()
        # With the caller's context, by which a notebook knows below which cell to print.
        serve = contextvars.copy_context().run
        self._thread = Thread(target=serve, args=(self._serve,), name=name, daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        self._there.wait()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what still runs, and wait for it."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def call(
        self, work: Coroutine[Any, Any, _T], *, interrupt: Callable[[], bool] = lambda: False
    ) -> _T:
        """Run some work there and wait for what it gives.

        At a KeyboardInterrupt ``interrupt`` is called in the loop. It ends the work in good order,
        or returns False, and the work is cancelled; a second one cancels it in any case. The
        exception is raised when the work has ended.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        with _interruptible():
            try:
                return future.result()
            except KeyboardInterrupt:
                if not future.done():
                    self._loop.call_soon_threadsafe(lambda: interrupt() or future.cancel())
                    self._wait_for_end(future)
                raise

    def _wait_for_end(self, future: Future[Any]) -> None:
        try:
            wait([future])
        finally:
            future.cancel()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(self._until_ended())

    async def _until_ended(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._there.set()
        await self._ended.wait()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have ctrl-C raise KeyboardInterrupt here, where a loop that runs would wait for its turn."""
    former = signal.getsignal(signal.SIGINT)
    # It stays where there is no loop, where this is not the thread of signals, and where ctrl-C is
    # ignored or not Python's.
    if not _in_loop() or current_thread() is not main_thread() or not callable(former):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
