"""One command's event loop: which loop, and what a signal does to it.

The first SIGINT or SIGTERM ends the work in good order: a run settles what is in flight, anything
else is cancelled. The second ends the process at once; what is checkpointed is kept.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from batcher.adapters.system.allocator import give_large_blocks_back
from batcher.cli.failure import INTERRUPTED, say

if TYPE_CHECKING:
    import click

    from batcher.engine.runner import Runner
    from batcher.settings import Settings

_T = TypeVar("_T")
_SHOW_CURSOR = "\x1b[?25h"


class Session:
    """What a signal has to know of the work that it ends.

    ``interrupt`` ends a run in good order and returns whether there was one; ``announce`` says
    what happens then, in the way that suits the screen.
    """

    def __init__(self) -> None:
        self.interrupt: Callable[[], bool] = lambda: False
        self.announce: Callable[[bool], None] = _announce
        self._work: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = False

    async def hold(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run the work, which a signal may end."""
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.current_task()
        _collect_rarely()
        give_large_blocks_back()
        try:
            return await work
        finally:
            self._loop = None

    def on_signal(self, number: int, frame: object) -> None:
        """What Python calls for a signal, between any two steps of the program.

        The handler stays when the work is done: its end is not torn by a default action.
        """
        del number, frame
        if self._asked or self._loop is None:
            stop_at_once()
        self._asked = True
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        settles = self.interrupt()
        self.announce(settles)
        if not settles and self._work is not None:
            self._work.cancel()


def run_session(work: Callable[[Session], Coroutine[Any, Any, _T]]) -> _T:
    """Run a command's work in an event loop of its own, uvloop's where that is installed."""
    session = Session()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, session.on_signal)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            return runner.run(session.hold(work(session)))
        except (asyncio.CancelledError, KeyboardInterrupt):
            # All is unwound. A thread in the middle of a large file is not waited for.
            stop_at_once()


def with_runner(ctx: click.Context, work: Callable[[Runner], Coroutine[Any, Any, _T]]) -> _T:
    """Open a runner on the database that the command line names, and work with it.

    Raises:
        NoDatabase: it is not there; only a command that brings jobs makes one.
    """
    from batcher.wiring import open_runner

    settings = settings_from(ctx, create=False)

    async def opened(session: Session) -> _T:
        del session
        async with open_runner(settings) as runner:
            return await work(runner)

    return run_session(opened)


def with_job(
    ctx: click.Context, job: str | None, work: Callable[[Runner, str], Coroutine[Any, Any, _T]]
) -> _T:
    """Likewise, with the job that was named: where none was, the last one, as standard error says.

    Raises:
        NoDatabase: as above.
        UsageError: there is no job.
    """

    async def named(runner: Runner) -> _T:
        return await work(runner, await job_or_last(runner, job))

    return with_runner(ctx, named)


async def job_or_last(runner: Runner, job: str | None) -> str:
    """The job that was named, else the last one, which is told."""
    if job is not None:
        return job
    last = await runner.last()
    what = last.description
    say(f"the last job is {last.id}: {what.work.kind} of {what.input.address}")
    return last.id


def settings_from(ctx: click.Context, *, create: bool = True) -> Settings:
    """The settings that ``--db``, ``--redis``, ``--via`` and their like give."""
    from batcher.settings import Settings

    via = ctx.params.get("via")
    return Settings(
        replay=via[1] if via else None,
        record=ctx.params.get("record"),
        record_requests=bool(ctx.params.get("record_requests")),
        database_url=ctx.params["db"],
        database_timeout_seconds=ctx.params["db_timeout"],
        redis_url=ctx.params.get("redis") or None,
        create=create,
    )


def stop_at_once() -> NoReturn:
    """End the process, with the terminal as it was."""
    try:
        if sys.stderr.isatty():
            sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
        sys.stdout.flush()
    except OSError:
        pass
    os._exit(INTERRUPTED)


def _collect_rarely() -> None:
    """Leave what is imported by now to itself, and look for cycles less often.

    Sending makes many objects and few cycles: at its defaults the collector took a fifth of a
    run's time, most of it walking through the modules again and again.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def _announce(settles: bool) -> None:
    del settles
    say("stopping")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's loops, where that is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
