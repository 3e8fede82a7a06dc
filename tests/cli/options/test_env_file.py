"""The file that the environment is read from, where one is named."""

from __future__ import annotations

import os
import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.adapters.system.env_file import read_env
from batcher.core.errors import UsageError
from tests.cli.jobs.test_run import EMBED

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

JOB = EMBED[:-2]
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs", "Cc", "Zl"]))


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.dictionaries(NAMES, TEXTS))
def test_what_is_quoted_comes_back(values: dict[str, str]) -> None:
    lines = [f"export {name} = {quoted(value)}  # and so on" for name, value in values.items()]
    assert read_env("\n".join(["# a comment", "", *lines])) == values


@given(st.dictionaries(NAMES, st.text(string.ascii_letters + string.digits + "-_./:$@=")))
def test_what_is_plain_is_taken_as_it_is(values: dict[str, str]) -> None:
    lines = [f"{name}={value} # mine" for name, value in values.items()]
    assert read_env("\r\n".join(lines)) == values


def test_single_quotes_keep_everything() -> None:
    assert read_env("A='x\\n$B \"#'\nB=\"a\\tb\\n\"\nC=\nD=a#b") == {
        "A": 'x\\n$B "#', "B": "a\tb\n", "C": "", "D": "a#b",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["sk-secret", "A B=sk-secret", "A='sk-secret", 'A="sk-secret" x'])
def test_a_line_that_means_nothing_is_named_and_not_quoted(line: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_env(f"OK=1\n{line}", ".env")
    assert str(refused.value).startswith(".env:2: ")
    assert "secret" not in str(refused.value)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a command sets is gone afterwards."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.mark.usefixtures("environment")
def test_settings_and_keys_are_read_from_it(cli: Cli) -> None:
    cli.write(".env", "BATCHER_MODEL='text-embedding-3-small'\nBATCHER_DB=here.db\n")

    assert cli(*JOB, "--simulate").code == 2  # nobody asked for it
    assert cli(*JOB, "--simulate", "--env-file", ".env").code == 0
    assert (cli.directory / "here.db").exists()


@pytest.mark.usefixtures("environment")
def test_the_environment_names_it_and_goes_before_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.write("my.env", "BATCHER_MODEL=text-embedding-3-large\nBATCHER_NAME=n\n")
    monkeypatch.setenv("BATCHER_ENV_FILE", "my.env")
    monkeypatch.setenv("BATCHER_MODEL", "text-embedding-3-small")

    ran = cli(*JOB, "--simulate", "--json")

    assert (ran.json["model"], ran.json["name"]) == ("text-embedding-3-small", "n")


@pytest.mark.usefixtures("environment")
def test_a_profile_may_name_it_and_it_a_profile(cli: Cli) -> None:
    cli.write("batcher.toml", "[defaults]\nenv_file = 'a.env'\n[profiles.small]\nlimit = 1\n")
    cli.write("a.env", "BATCHER_MODEL=text-embedding-3-small\n")
    assert cli(*JOB, "--simulate", "--json").json["model"] == "text-embedding-3-small"
    cli.write("b.env", "BATCHER_PROFILE=small\nBATCHER_MODEL=text-embedding-3-large\n")
    ran = cli(*JOB, "--simulate", "--json", "--env-file", "b.env", "--fresh")
    assert ran.json["rows"]["total"] == 1


@pytest.mark.usefixtures("environment")
def test_it_must_be_there_and_no_output_replaces_it(cli: Cli) -> None:
    gone = cli(*EMBED, "--simulate", "--env-file", "gone.env")
    assert gone.code == 2
    assert gone.stderr.startswith("error: the environment file gone.env cannot be read: No such")
    cli.write("keys.env", "A=1\n")
    refused = cli(
        *EMBED, "--simulate", "--env-file", "keys.env", "-o", "keys.env", "--overwrite",
        "--output-format", "jsonl",
    )  # fmt: skip
    assert refused.code == 2
    assert cli.read("keys.env") == "A=1\n"
