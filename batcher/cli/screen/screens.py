"""Where progress appears: live on a terminal and in a notebook, else a line now and then.

Everything goes to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from batcher.cli.screen.words import progress_line, waiting_line
from batcher.core.text.inert import inert

if TYPE_CHECKING:
    from batcher.cli.screen.gauge import Reading

PLAIN_SECONDS = 10.0


class Screen(Protocol):
    """Where progress appears; redrawn every ``seconds``."""

    seconds: float

    def waiting(self, activity: str, elapsed: float) -> None:
        """Nothing is sent yet: ``activity`` comes first, such as ``checking the input``."""
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


def open_screen(*, quiet: bool, output: str | None, progress: str | None = None) -> Screen:
    """The screen that was asked for by ``progress``, else the one that suits standard error.

    Raises:
        UsageError: what was asked for is not installed.
    """
    if quiet:
        return NoScreen()
    choice = progress or _that_suits(output)
    if choice == "none":
        return WordsScreen()
    if choice == "tqdm":
        from batcher.cli.screen.tqdm_bar import TqdmScreen

        return TqdmScreen()
    if choice == "notebook":
        from batcher.cli.screen.notebook import NotebookScreen

        return NotebookScreen()
    if choice == "plain":
        return PlainScreen()
    from rich.console import Console  # takes a while to import

    from batcher.cli.screen.live_view import LiveScreen

    return LiveScreen(Console(stderr=True, force_terminal=True if progress else None))


def _that_suits(output: str | None) -> str:
    from batcher.cli.screen.notebook import is_notebook

    terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    records_there = output == "-" and sys.stdout.isatty()
    if terminal and not records_there:
        return "rich"
    return "notebook" if is_notebook() else "plain"


class NoScreen:
    """Nothing is shown."""

    seconds = 60.0

    def waiting(self, activity: str, elapsed: float) -> None:
        """Nothing."""

    def show(self, reading: Reading) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class WordsScreen(NoScreen):
    """No progress, but the sentences that stay."""

    def say(self, text: str) -> None:
        """See :class:`Screen`."""
        _write_line(text)


class PlainScreen:
    """A line at the start of what takes a moment, every ten seconds, and at the end."""

    seconds = 0.5

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write or _write_line
        self._due = self.seconds
        self._shown: int | None = None

    def waiting(self, activity: str, elapsed: float) -> None:
        """See :class:`Screen`."""
        if elapsed >= self._due:
            self._due = elapsed + PLAIN_SECONDS
            self._write(waiting_line(activity, elapsed))

    def show(self, reading: Reading) -> None:
        """See :class:`Screen`."""
        ended = reading.phase == "ended" and self._shown != reading.done + reading.failed
        if self._shown is None or ended or reading.seconds >= self._due:
            self._due = reading.seconds + PLAIN_SECONDS
            self._shown = reading.done + reading.failed
            self._write(progress_line(reading))

    def say(self, text: str) -> None:
        """See :class:`Screen`."""
        self._write(text)

    def close(self) -> None:
        """See :class:`Screen`."""


def _write_line(text: str) -> None:
    print(inert(text), file=sys.stderr, flush=True)  # noqa: T201 - standard error is the screen
