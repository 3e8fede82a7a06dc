"""Feeding a screen while a run goes on. A screen that cannot be written to never ends a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from batcher.cli.figures import count, duration
from batcher.cli.screen.gauge import Gauge, Reading
from batcher.cli.screen.screens import NoScreen, Screen

if TYPE_CHECKING:
    from batcher.engine.telemetry.run_stats import RunStats


class Progress:
    """Feeds a screen from a run's counters."""

    def __init__(
        self,
        screen: Screen,
        *,
        activity: str = "checking the input",
        grace_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        worded: Callable[[str], str] = str,
    ) -> None:
        """``worded`` says a sentence in the words of whoever reads it: Python has no flags."""
        self.screen = screen
        self._worded = worded
        self._unreached = False
        self._activity = activity
        self.grace_seconds = grace_seconds
        self.live: RunStats | None = None
        self._gauge: Gauge | None = None
        self._clock = clock
        self._started = clock()

    def attach(self, live: RunStats) -> None:
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

    def tell(self, sentence: str) -> None:
        """Something to be known before anything is sent."""
        with self._as_long_as_it_is_there():
            self.screen.say(self._worded(sentence))

    def announce(self, settles: bool) -> None:
        """A signal came."""
        if not settles or self.live is None:
            text = "stopping; to go on, run the same command again"
        else:
            requests = count(self.live.in_flight, "request")
            text = (
                f"stopping: waiting for {requests} in flight "
                f"(up to {duration(self.grace_seconds)}); press Ctrl-C again to stop at once"
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
                self.screen.waiting(self._activity, self.elapsed)
            else:
                self._say_unreached(reading)
                self.screen.show(reading)

    def _say_unreached(self, reading: Reading) -> None:
        """Say it once at length, at once: whoever reads it may end the run and put it right."""
        if reading.unreached and not self._unreached:
            self._unreached = True
            self.screen.say(
                self._worded(
                    f"{reading.unreached}; trying again (--outage-timeout says for how long)"
                )
            )

    def close(self) -> None:
        """Show the last state, however short the run was, and leave the terminal as it was."""
        reading = self.reading()
        with self._as_long_as_it_is_there():
            if reading is not None:
                self.screen.show(replace(reading, phase="ended"))
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
