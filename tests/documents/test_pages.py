"""Every command and every program that the documentation shows is run, and prints what it shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.page import PAGES, ROOT, Page, Step, runnable
from tests.documents.standins import stand_ins
from tests.documents.workplace import Workplace, comparable

RUN = [page for page in PAGES if runnable(page)]
EXEMPT = {
    "installs",
    "needs a server of your own",
    "needs a key",
    "runs for as long as you like",
    "another project's program",
}
"""Why a block may be shown and not run."""


@pytest.fixture
def workplace(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workplace]:
    page: Page = request.getfixturevalue("page")
    with stand_ins(page.path.stem) as names:
        place = Workplace(tmp_path / "work", names)
        try:
            yield place
        finally:
            place.close()


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_a_page_does_what_it_says(page: Page, workplace: Workplace) -> None:
    outputs = workplace.run(page)

    for block in page.blocks():
        if block.start in outputs:
            figures = not block.figures_vary
            shown = comparable(block.body, figures=figures)
            printed = comparable(outputs[block.start], figures=figures)
            assert printed == shown, f"{page.name}:{block.line}: run scripts/record-docs"


def test_an_exempt_block_says_why() -> None:
    reasons = {
        reason for page in PAGES for reason in re.findall(r"<!-- not run: (.*?) -->", page.text)
    }
    assert reasons <= EXEMPT
    marks = {mark for page in PAGES for mark in re.findall(r"<!-- (\S+ \S+)", page.text)}
    assert marks <= {"not run:", "figures vary", "Made by"}


def tracked_texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".md", ".toml", ".py", "") and path.is_file():
            yield name, path.read_text(encoding="utf-8")


def test_every_example_that_is_named_is_there() -> None:
    missing = {
        (name, example)
        for name, text in tracked_texts()
        if not name.startswith("tests/")
        for example in re.findall(r"(?<![\w./])examples/[\w./-]*\w", text)
        if not (ROOT / example).exists()
    }
    assert missing == set()
    unnamed = {
        path.name
        for path in (ROOT / "examples").iterdir()
        if not any(f"examples/{path.name}" in page.text for page in PAGES)
    }
    assert unnamed - {"__pycache__"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_is_there(page: Page) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.text, flags=re.M | re.S)
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", prose)
    assert [target for target in targets if not (page.path.parent / target).exists()] == []


def test_the_readme_is_two_screens() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 120


def test_every_figure_of_the_readme_was_measured() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## What is different\n")[1].split("\n## ")[0]
    figures = set(re.findall(r"\d[\d,]*\d(?:\.\d+)?|\d\.\d+", section)) - {"429"}
    notes = (ROOT / "benchmarks/NOTES.md").read_text(encoding="utf-8")
    assert len(figures) >= 8  # the section is one of figures
    assert {figure for figure in figures if figure not in notes} == set()


def test_pages_can_be_followed_one_after_the_other() -> None:
    """In one directory: no page writes where another's output stands, which would be refused."""
    written: dict[str, set[str]] = {}
    for page in RUN:
        for step in page.steps():
            if isinstance(step, Step):
                found = re.findall(r"(?:-o |output=\")([\w.-]+)", step.block.body)
                for name in found:
                    written.setdefault(name, set()).add(page.name)
    assert len(written) > 15
    assert {name: pages for name, pages in written.items() if len(pages) > 1} == {}
