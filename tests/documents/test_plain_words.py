"""What users read has none of the words that belong to the inside: pages, help and messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from batcher.cli.root import root

ROOT = Path(__file__).resolve().parents[2]
INSIDE = re.compile(
    r"\bdead.letters?|\bsettl(?:e|es|ed|ing)\b|\bfir(?:ed|es|ings?)\b", re.IGNORECASE
)
CODE = re.compile(r"`[^`]*`|\.firings\b")
STORED = {"dead letter"}
"""The cause of a job's end, as databases keep it."""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def words_of_the_inside(text: str) -> list[str]:
    """Those of a text; names of fields, metrics and files may hold what they like."""
    return [match.group() for match in INSIDE.finditer(CODE.sub("", text))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_uses_words_that_a_stranger_knows(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    found = {line for line in lines if words_of_the_inside(line)}
    assert sorted(found) == []


def helps(command: click.Command = root, parent: click.Context | None = None) -> Iterator[str]:
    ctx = click.Context(command, info_name=command.name, parent=parent)
    yield command.get_help(ctx)
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            assert child is not None
            yield from helps(child, ctx)


def test_help_uses_words_that_a_stranger_knows() -> None:
    lines = (line for text in helps() for line in text.splitlines())
    assert sorted({line for line in lines if words_of_the_inside(line)}) == []


def messages(path: Path) -> Iterator[str]:
    """The sentences in a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value


def test_messages_use_words_that_a_stranger_knows() -> None:
    paths = [path for folder in ("batcher", "jobs") for path in (ROOT / folder).rglob("*.py")]
    said = {text for path in paths for text in messages(path) if " " in text} - STORED
    assert any("no key in the environment" in text for text in said)
    assert sorted(text for text in said if words_of_the_inside(text)) == []
