"""Progress in a notebook: one output cell that is drawn anew, with a bar and a line of words."""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any

from batcher.cli.screen.words import progress_line, waiting_line
from batcher.core.text.inert import inert

if TYPE_CHECKING:
    from batcher.cli.screen.gauge import Reading


def is_notebook() -> bool:
    """Whether this process is a notebook's kernel; IPython is there then, and not imported here."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Frame:
    """One picture of a run, as HTML and, for what shows none, as text."""

    def __init__(self, words: str, done: int = 0, rows: int | None = None) -> None:
        self._words = inert(words)
        self._done = done
        self._rows = rows

    def __repr__(self) -> str:
        """The words alone."""
        return self._words

    def _repr_html_(self) -> str:
        """A bar, where there is something to be measured, before the words."""
        bar = ""
        if self._rows is not None:
            bar = f'<progress value="{self._done}" max="{max(1, self._rows)}"></progress> '
        return f"<div>{bar}<samp>{escape(self._words)}</samp></div>"


class NotebookScreen:
    """A frame that is replaced once a second; see :class:`batcher.cli.screen.screens.Screen`."""

    seconds = 1.0

    def __init__(self) -> None:
        self._frame: Any = None

    def waiting(self, activity: str, elapsed: float) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        self._draw(Frame(waiting_line(activity, elapsed)))

    def show(self, reading: Reading) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        self._draw(Frame(progress_line(reading), reading.done + reading.failed, reading.rows))

    def say(self, text: str) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        print(inert(text), file=sys.stderr, flush=True)  # noqa: T201 - standard error is the screen

    def close(self) -> None:
        """Leave the last frame: it says how far the run came."""

    def _draw(self, frame: Frame) -> None:
        if self._frame is None:
            self._frame = sys.modules["IPython"].display.display(frame, display_id=True)
        else:
            self._frame.update(frame)
