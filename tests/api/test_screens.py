"""Where progress appears: below a notebook's cell, on standard error, or nowhere."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import batcher


class Cell:
    """What a notebook was given to show below a cell, one after the other."""

    def __init__(self) -> None:
        self.pages: list[object] = []

    def display(self, page: object, *, display_id: bool) -> Cell:
        assert display_id
        self.pages.append(page)
        return self

    def update(self, page: object) -> None:
        self.pages.append(page)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A kernel of which no more is there than what is asked of it."""
    shown = Cell()
    kernel = SimpleNamespace(kernel=object())
    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: kernel
    ipython.display = display = ModuleType("IPython.display")
    display.display = shown.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def run(**more: Any) -> batcher.Report:
    rows = [{"body": "late"}]
    return batcher.run(
        "embed", rows, model="text-embedding-3-small", text="body", simulate=True, **more
    )


def test_a_notebook_shows_how_far_a_run_is(cell: Cell) -> None:
    run()
    assert repr(cell.pages[-1]).startswith("ended: 1 of 1 row (100%)")


def test_no_progress_is_no_progress_in_a_notebook_either(cell: Cell) -> None:
    run(progress=False)
    assert cell.pages == []


def test_a_program_whose_output_goes_to_a_file_is_quiet_unless_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run()
    assert capsys.readouterr().err == ""
    for asked, said in ((True, "1 of 1 row"), ("plain", "1 of 1 row"), ("tqdm", "1/1 [")):
        run(progress=asked, fresh=True)
        assert said in capsys.readouterr().err


def test_a_terminal_of_ipython_is_no_notebook(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", SimpleNamespace)
    run()
    assert cell.pages == []
