"""What a job names is read, looked at and written within reach alone, by whichever way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import NotAllowed
from batcher.core.job.reach import Reach
from batcher.engine.services import Files
from batcher.wiring_files import files

SECRET = '{"job": "a secret"}\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder in ("in", "out", "else"):
        (tmp_path / folder).mkdir()
    for name in ("in/a.txt", "out/a.json", "else/a.txt", "else/a.json"):
        (tmp_path / name).write_text(SECRET)
    (tmp_path / "in/link.txt").symlink_to(tmp_path / "else/a.txt")
    (tmp_path / "out/link.json").symlink_to(tmp_path / "else/a.json")
    return tmp_path


@pytest.fixture
def reached(here: Path) -> Files:
    """Files of a worker, or of a service."""
    sources, destinations = (str(here / "in"), "https://"), (str(here / "out"),)
    return files((), Reach(providers={}, sources=sources, destinations=destinations))


BESIDE: dict[str, Callable[[Files, Path], Any]] = {
    "read_json": lambda files, path: files.read_json(path),
    "read_drafts": lambda files, path: files.read_drafts(path),
    "look": lambda files, path: files.look(path),
}


@pytest.mark.parametrize("read", BESIDE)
def test_beside_an_output_nothing_is_looked_at_that_may_not_be_written(
    reached: Files, read: str
) -> None:
    assert BESIDE[read](reached, Path("out/a.json"))
    for path in ("else/a.json", "out/../else/a.json", "out/link.json", "in/a.txt"):
        with pytest.raises(NotAllowed, match="may not write") as error:
            BESIDE[read](reached, Path(path))
        assert "a secret" not in str(error.value)
        assert BESIDE[read](files((), None), Path(path)), "its own operator may"


def test_texts_are_read_like_inputs(reached: Files) -> None:
    assert reached.read_text("in/a.txt") == SECRET
    for path in ("else/a.txt", "in/../else/a.txt", "in/link.txt", "out/a.json", "-", "a\0b"):
        with pytest.raises(NotAllowed, match="may not read") as error:
            reached.read_text(path)
        assert "a secret" not in str(error.value)
    assert files((), None).read_text("else/a.txt") == SECRET


def test_a_text_that_is_not_there_is_told_as_ever(reached: Files) -> None:
    with pytest.raises(FileNotFoundError):
        reached.read_text("in/nothing.txt")
