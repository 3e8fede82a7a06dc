"""Showing a run while it goes on: a live view on a terminal, a line now and then elsewhere.

Everything goes to standard error. A screen that cannot be written to never ends a run.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol

from batcher.cli.figures import count, duration
from batcher.cli.gauge import Gauge, Reading
from batcher.cli.words import progress_line

if TYPE_CHECKING:
    from rich.console import Console

    from batcher.engine.live import Live

LIVE_SECONDS = 0.25
PLAIN_SECONDS = 10.0


class Screen(Protocol):
    """Where progress appears; redrawn every ``seconds``."""

    seconds: float

    def waiting(self, elapsed: float) -> None:
        """Nothing is sent yet: the input is being checked."""
        ...

    def show(self, reading: Reading) -> None:
        """The run at this moment."""
        ...

    def say(self, text: str) -> None:
        """A sentence that stays."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class Progress:
    """Feeds a screen from a run's counters."""

    def __init__(
        self,
        screen: Screen,
        *,
        grace_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.screen = screen
        self.grace_seconds = grace_seconds
        self.live: Live | None = None
        self._gauge: Gauge | None = None
        self._clock = clock
        self._started = clock()

    def attach(self, live: Live) -> None:
        """The run begins: these are its counters."""
        self.live = live
        self._gauge = Gauge(live)
        self.draw()

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return self._clock() - self._started

    def reading(self) -> Reading | None:
        """The run now; None while nothing is sent."""
        return None if self._gauge is None else self._gauge.read(self._clock())

    def announce(self, settles: bool) -> None:
        """A signal came."""
        if not settles or self.live is None:
            text = "stopping; to go on, run the same command again"
        else:
            requests = count(self.live.in_flight, "request")
            text = (
                f"stopping: settling {requests} in flight (up to {duration(self.grace_seconds)}); "
                "press Ctrl-C again to stop at once"
            )
        with self._as_long_as_it_is_there():
            self.screen.say(text)

    async def run(self) -> None:
        """Redraw for ever."""
        while True:
            self.draw()
            await asyncio.sleep(self.screen.seconds)

    def draw(self) -> None:
        """Redraw once."""
        reading = self.reading()
        with self._as_long_as_it_is_there():
            if reading is None:
                self.screen.waiting(self.elapsed)
            else:
                self.screen.show(reading)

    def close(self) -> None:
        """Leave the terminal as it was."""
        with self._as_long_as_it_is_there():
            self.screen.close()

    @contextmanager
    def _as_long_as_it_is_there(self) -> Iterator[None]:
        """A screen that has gone is replaced by none: it is no reason to end a run."""
        try:
            yield
        except OSError:
            self.screen = NoScreen()


@asynccontextmanager
async def shown(progress: Progress) -> AsyncIterator[None]:
    """Show progress beside the work."""
    progress.draw()
    task = asyncio.create_task(progress.run(), name="progress")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        progress.close()


def open_screen(*, quiet: bool, output: str | None) -> Screen:
    """The screen that suits standard error."""
    if quiet:
        return NoScreen()
    terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    records_there = output == "-" and sys.stdout.isatty()
    if not terminal or records_there:
        return PlainScreen()
    from batcher.cli.liveview import LiveScreen

    return LiveScreen(_console())


class NoScreen:
    """Nothing is shown."""

    seconds = 60.0

    def waiting(self, elapsed: float) -> None:
        """Nothing."""

    def show(self, reading: Reading) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class PlainScreen:
    """A line at the start, every ten seconds, and whenever the phase changes at the end."""

    seconds = 0.5

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write or _write_line
        self._due = 0.0
        self._waited = False
        self._last: Reading | None = None

    def waiting(self, elapsed: float) -> None:
        """See :class:`Screen`."""
        if not self._waited or elapsed >= self._due:
            self._waited = True
            self._due = elapsed + PLAIN_SECONDS
            self._write("checking the input" + (f", {duration(elapsed)}" if elapsed > 1 else ""))

    def show(self, reading: Reading) -> None:
        """See :class:`Screen`."""
        first = self._last is None
        self._last = reading
        if first or reading.seconds >= self._due:
            self._due = reading.seconds + PLAIN_SECONDS
            self._write(progress_line(reading))

    def say(self, text: str) -> None:
        """See :class:`Screen`."""
        self._write(text)

    def close(self) -> None:
        """See :class:`Screen`."""


def _write_line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - standard error is the screen


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)
