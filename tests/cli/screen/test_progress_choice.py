"""How progress is shown: by what was asked for, where there is a notebook, and without tqdm."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from batcher.cli.screen import screens
from batcher.cli.screen.notebook import Frame, NotebookScreen
from batcher.cli.screen.screens import PlainScreen, open_screen
from tests.cli.jobs.test_run import EMBED
from tests.cli.screen.test_progress import a_reading

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


class Handle:
    """What IPython gives for a display that can be replaced."""

    def __init__(self, frames: list[Any]) -> None:
        self._frames = frames

    def update(self, frame: Any) -> None:
        self._frames.append(frame)


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A kernel, as far as a program sees one: what it displays."""
    shown: list[Any] = []

    def display(frame: Any, *, display_id: bool) -> Handle:
        assert display_id
        shown.append(frame)
        return Handle(shown)

    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    ipython.display = SimpleNamespace(display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return shown


def test_a_notebook_has_a_frame_that_is_replaced(frames: list[Any]) -> None:
    opened = open_screen(quiet=False, output=None)
    assert isinstance(opened, NotebookScreen)
    opened.waiting("checking <the> input", 2.0)
    opened.show(a_reading())
    assert [repr(frame).partition(":")[0] for frame in frames] == [
        "checking <the> input, 2.0 s", "sending",
    ]  # fmt: skip
    assert "&lt;the&gt;" in frames[0]._repr_html_()
    assert '<progress value="3002" max="12000">' in frames[1]._repr_html_()


def test_a_frame_moves_no_cursor() -> None:
    assert "\x1b" not in Frame("a\x1b[2Jb")._repr_html_()


def test_a_shell_of_ipython_on_no_terminal_is_no_notebook(
    frames: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None, raising=False)
    assert isinstance(open_screen(quiet=False, output=None), PlainScreen)


def test_a_run_shows_its_frames_in_a_notebook(cli: Cli, frames: list[Any]) -> None:
    ran = cli(*EMBED, "--simulate")
    assert ran.code == 0
    assert repr(frames[-1]).startswith("ended: 3 of 3 rows (100%)")
    assert '<progress value="3" max="3">' in frames[-1]._repr_html_()
    assert "of 3 rows" not in ran.stderr.replace("all 3 done", "")


def test_tqdm_shows_its_bar(cli: Cli) -> None:
    ran = cli(*EMBED, "--simulate", "--progress", "tqdm")
    assert ran.code == 0
    assert "ended: 100%" in ran.stderr
    assert "3/3 [" in ran.stderr
    assert "rows      all 3 done" in ran.stderr


def test_tqdm_that_is_missing_is_an_error_before_anything_is_done(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    ran = cli(*EMBED, "--simulate", "--progress", "tqdm")
    assert ran.code == 2
    assert ran.stderr.startswith("error: --progress tqdm needs the package tqdm, which is not")
    assert cli("jobs", "--json").json == []


def test_plain_lines_and_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "PLAIN_SECONDS", 0.0)
    plain = cli(*EMBED, "--simulate", "--progress", "plain")
    nothing = cli(*EMBED, "--simulate", "--fresh", "--progress", "none")
    assert "sending: 0 of 3 rows" in plain.stderr
    assert "ended: 3 of 3 rows (100%)" in plain.stderr
    assert "sending" not in nothing.stderr
    assert "rows      all 3 done" in nothing.stderr


def test_rich_may_be_asked_for_without_a_terminal(cli: Cli) -> None:
    ran = cli(*EMBED, "--simulate", "--progress", "rich")
    assert (ran.code, "\x1b[" in ran.stderr) == (0, True)


def test_watch_takes_the_choice_too(cli: Cli) -> None:
    cli(*EMBED, "--simulate")
    assert cli("watch", "--progress", "none").code == 0
    assert cli("watch", "--progress", "fancy").code == 2
