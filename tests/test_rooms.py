"""The folders of the package: each small enough to be seen at once, with a map that is true."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "batcher"
MODULES_AT_MOST = 14
SCREEN_LINES = 40
NO_MAP = {"api", "kinds", "ports"}
"""Folders whose ``__init__`` is what others import from; it says so in words of its own."""


def folders() -> list[Path]:
    return sorted({path.parent for path in PACKAGE.rglob("__init__.py")} - {PACKAGE})


def folders_of_tests() -> list[Path]:
    return sorted({path.parent for path in TESTS.rglob("*.py")})


def name_of(folder: Path) -> str:
    return folder.relative_to(PACKAGE).as_posix()


def members(folder: Path) -> list[str]:
    modules = [path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")]
    return modules + [child.name for child in folder.iterdir() if (child / "__init__.py").exists()]


@pytest.mark.parametrize("folder", folders(), ids=name_of)
def test_a_folder_is_seen_at_once(folder: Path) -> None:
    modules = [path for path in folder.glob("*.py") if not path.stem.startswith("__")]
    assert len(modules) <= MODULES_AT_MOST


@pytest.mark.parametrize("folder", folders_of_tests(), ids=lambda folder: folder.name)
def test_a_folder_of_tests_is_seen_at_once(folder: Path) -> None:
    modules = [path for path in folder.glob("*.py") if not path.stem.startswith("__")]
    assert len(modules) <= MODULES_AT_MOST


@pytest.mark.parametrize(
    "folder", [path for path in folders() if name_of(path) not in NO_MAP], ids=name_of
)
def test_the_map_of_a_folder_names_all_that_is_in_it_and_nothing_else(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    lines = text.splitlines()
    named = [line.split("`")[1].lstrip(".") for line in lines if line.startswith("- :mod:")]
    assert sorted(named) == sorted(members(folder))
    assert len(lines) <= SCREEN_LINES
