"""A variable that looks like a setting and is none is told of, with what was meant, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import pytest

from batcher.cli.options import variables
from batcher.cli.root import root

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables, "_told", set())


def variables_of(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for param in command.params:
        named = param.envvar or ()
        yield from (named,) if isinstance(named, str) else named
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            assert child is not None
            yield from variables_of(child, click.Context(child, parent=ctx))


def test_the_names_are_those_of_the_options() -> None:
    read = {name for name in variables_of(root, click.Context(root)) if "OPENAI" not in name}
    assert {f"BATCHER_{name}" for name in variables.NAMES} == read | {"BATCHER_DEBUG"}


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("BATCHER_MODLE", " (did you mean BATCHER_MODEL?)"),
        ("BATCHER_MAXCOST", " (did you mean BATCHER_MAX_COST?)"),
        ("BATCHER_API_BASE", " (did you mean BATCHER_BASE_URL?)"),
        ("BATCHER_ZZZZ", ""),
    ],
)
def test_a_strange_variable_is_told_once_and_is_no_error(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, variable: str, hint: str
) -> None:
    monkeypatch.setenv(variable, "x")
    told = f"note: {variable} in the environment is no setting{hint}\n"
    ran = cli("jobs")
    assert (ran.code, ran.stderr.count(told)) == (0, 1)
    assert told not in cli("jobs").stderr  # the same process


def test_a_file_of_the_environment_is_read_with_the_same_eyes(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHER_MODLE", "")  # so that what the file sets is gone afterwards
    monkeypatch.delenv("BATCHER_MODLE")
    cli.write(".env", "BATCHER_MODLE=m\n")
    assert "(did you mean BATCHER_MODEL?)" in cli("jobs", "--env-file", ".env").stderr


def test_what_is_a_setting_or_empty_is_not_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BATCHER_MODEL", "BATCHER_DEBUG", "BATCHER_DATABASE_TIMEOUT"):
        monkeypatch.setenv(name, "9")
    monkeypatch.setenv("BATCHER_NOTHING", "")
    assert "is no setting" not in cli("jobs").stderr


def test_a_quiet_command_says_nothing_of_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_MODLE", "x")
    ran = cli("run", "chat", "tickets.csv", "--text", "body", "-m", "m", "--simulate", "-q")
    assert (ran.code, ran.stderr) == (0, "")
