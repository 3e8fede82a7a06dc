"""Where a program's progress appears: on its terminal, below a notebook's cell, or nowhere."""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any

from batcher.cli.screen import NoScreen, PlainScreen, Screen, open_screen
from batcher.cli.words import progress_line, waiting_line

if TYPE_CHECKING:
    from batcher.cli.gauge import Reading


def screen_for(progress: bool | None) -> Screen:
    """The screen that suits; None shows progress where somebody looks: a terminal, a notebook."""
    if progress is False:
        return NoScreen()
    if in_notebook():
        return NotebookScreen()
    screen = open_screen(quiet=False, output=None)
    return NoScreen() if progress is None and isinstance(screen, PlainScreen) else screen


def in_notebook() -> bool:
    """Whether this is a notebook's kernel: what is displayed appears below the cell that runs."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class NotebookScreen:
    """One line below the cell, which changes; see :class:`batcher.cli.screen.Screen`."""

    seconds = 0.5

    def __init__(self) -> None:
        self._line: Any = None
        self._said: list[str] = []

    def waiting(self, activity: str, elapsed: float) -> None:
        """Show what comes first, when it takes a while."""
        if elapsed >= self.seconds:
            self._display(waiting_line(activity, elapsed))

    def show(self, reading: Reading) -> None:
        """Show the run at this moment."""
        self._display(progress_line(reading))

    def say(self, text: str) -> None:
        """Keep a sentence above the line."""
        self._said.append(text)
        self._display("")

    def close(self) -> None:
        """Leave what was said, and take the line away."""
        if self._line is not None:
            self._display("")

    def _display(self, line: str) -> None:
        from IPython.display import HTML, display

        lines = [*self._said, *([line] if line else [])]
        page = HTML(f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else "")
        if self._line is None:
            self._line = display(page, display_id=True)
        else:
            self._line.update(page)
