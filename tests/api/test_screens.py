"""Where progress appears: below a notebook's cell, on standard error, or nowhere."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import batcher
from batcher.api.screens import NotebookScreen, screen_for
from batcher.cli.screen import NoScreen, PlainScreen


class Cell:
    """What a notebook shows below a cell: the last state of each display."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def display(self, page: str, *, display_id: bool) -> Cell:
        assert display_id
        self.pages.append(page)
        return self

    def update(self, page: str) -> None:
        self.pages.append(page)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A kernel of which no more is there than what is asked of it."""
    shown = Cell()
    kernel = SimpleNamespace(kernel=object())
    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: kernel
    ipython.display = display = ModuleType("IPython.display")
    display.display, display.HTML = shown.display, str  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def run(**more: Any) -> batcher.Report:
    rows = [{"body": "late"}]
    return batcher.run(
        "embed", rows, model="text-embedding-3-small", text="body", simulate=True, **more
    )


def test_a_notebook_shows_one_line_that_changes_and_goes(cell: Cell) -> None:
    run()
    assert cell.pages[0].startswith("<pre>")
    assert "of 1 row" in "".join(cell.pages)
    assert cell.pages[-1] == ""


def test_what_is_said_in_a_notebook_stays_and_is_escaped(cell: Cell) -> None:
    screen = NotebookScreen()
    screen.waiting("checking the input", 0.1)
    assert cell.pages == []
    screen.say("<b>stopping</b>")
    screen.waiting("checking the input", 1.0)
    screen.close()
    assert cell.pages[-2].startswith("<pre>&lt;b&gt;stopping&lt;/b&gt;\nchecking the input")
    assert cell.pages[-1] == "<pre>&lt;b&gt;stopping&lt;/b&gt;</pre>"


def test_no_progress_is_no_progress_in_a_notebook_either(cell: Cell) -> None:
    run(progress=False)
    assert cell.pages == []


def test_a_program_whose_output_goes_to_a_file_is_quiet_unless_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert isinstance(screen_for(None), NoScreen)
    assert isinstance(screen_for(True), PlainScreen)
    run()
    assert capsys.readouterr().err == ""
    run(progress=True, fresh=True)
    assert "of 1 row" in capsys.readouterr().err


def test_a_terminal_of_ipython_is_no_notebook(cell: Cell) -> None:
    sys.modules["IPython"].get_ipython = SimpleNamespace
    run()
    assert cell.pages == []
