"""Completion in a shell: what it is offered, and that a real one offers it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from batcher.adapters.sources.columns import columns_at_a_glance
from batcher.cli.commands.completion import SHELLS
from batcher.cli.root import ENTRIES
from tests.cli.jobs.test_run import EMBED

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

BIN = Path(sys.executable).parent
# Types a line into an interactive shell's own machinery, and prints what it would offer.
IN_BASH = """
eval "$(batcher completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }
_batcher_completion batcher
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(folder: Path, *words: str) -> list[str]:
    """What a real bash offers for the last of the words, with nothing of the user's set."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", IN_BASH, "bash", *words],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


def answered(folder: Path, shell: str, line: str, word: str) -> list[str]:
    """What the command answers to the question that a shell's script asks."""
    words = line.split()
    environment = {
        **os.environ,
        "_BATCHER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": f"{line} {word}",
        "COMP_CWORD": word if shell == "fish" else str(len(words)),
    }
    command = [sys.executable, "-m", "batcher"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    if shell == "fish":
        return [line.removeprefix("plain,").partition("\t")[0] for line in lines if line]
    return lines[1::3]


@pytest.mark.process
def test_bash_offers_commands_columns_jobs_and_names(cli: Cli) -> None:
    cli(*EMBED, "--simulate", "--name", "nightly")

    def offer(*words: str) -> list[str]:
        return offered(cli.directory, "batcher", *words)

    assert offer("sta") == ["status"]
    assert set(offer("run", "")) >= {"chat", "classify", "embed"}
    assert offer("run", "embed", "tickets.csv", "--text", "") == ["id", "title", "body"]
    assert offer("run", "embed", "tickets.csv", "-m", "x", "--id", "t") == ["title"]
    assert offer("status", "") == [cli.job()]
    assert offer("rm", cli.job()[:3]) == [cli.job()]
    assert offer("jobs", "--name", "n") == ["nightly"]
    assert offer("jobs", "--state", "p") == ["paused"]


@pytest.mark.process
def test_bash_gets_columns_with_blanks_in_quotes(cli: Cli) -> None:
    cli.write("blank.csv", "id,first name\n1,2\n")
    words = ("batcher", "run", "embed", "blank.csv", "--text", "f")
    assert offered(cli.directory, *words) == ["'first name'"]


@pytest.mark.process
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_answered_alike(cli: Cli, shell: str) -> None:
    cli.write("blank.csv", "id,first name\n1,2\n")
    line = "batcher run embed blank.csv --text"
    assert answered(cli.directory, shell, line, "f") == ["first name"]  # they quote it themselves
    assert answered(cli.directory, shell, "batcher", "sta") == ["status"]


def test_commands_are_offered_without_importing_them(cli: Cli) -> None:
    code = (
        "import sys; from batcher.cli import main\n"
        "try: main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    asked = {"COMP_WORDS": "batcher ", "COMP_CWORD": "1", "_BATCHER_COMPLETE": "zsh_complete"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cli.directory, env=os.environ | asked, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[1::3] == list(ENTRIES)
    assert "batcher.cli.commands.jobs.status" not in done.stderr.split()


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(cli: Cli, shell: str) -> None:
    made = cli("completion", shell)
    assert (made.code, made.stderr) == (0, "")
    assert f"_BATCHER_COMPLETE={shell}_complete" in made.stdout


def test_fish_splits_an_answer_at_its_first_comma_alone(cli: Cli) -> None:
    """So that columns with a comma in their names are offered whole."""
    assert 'string split --max 1 "," $completion' in cli("completion", "fish").stdout


def test_without_a_database_or_a_file_nothing_is_offered_and_nothing_made(cli: Cli) -> None:
    assert offered(cli.directory, "batcher", "status", "") == []
    words = ("batcher", "run", "embed", "gone.csv", "--text", "")
    assert offered(cli.directory, *words) == []
    assert [path.name for path in cli.directory.iterdir()] == ["tickets.csv"]


ROWS = [{"id": 1, "größe": "x"}, {"id": 2, "more": "y"}]
CSV = "id,größe\n1,x\n"
JSONL = "\n".join(json.dumps(row) for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", CSV.encode(), ["id", "größe"]),
        ("bom.csv", b"\xef\xbb\xbf" + CSV.encode(), ["id", "größe"]),
        ("wide.csv", CSV.encode("utf-16"), ["id", "größe"]),
        ("semi.csv", CSV.replace(",", ";").encode(), ["id", "größe"]),
        ("sep.csv", b"sep=|\r\n" + CSV.replace(",", "|").encode(), ["id", "größe"]),
        ("a.csv.zst", zstandard.ZstdCompressor().compress(CSV.encode()), ["id", "größe"]),
        ("a.jsonl", JSONL.encode(), ["id", "größe", "more"]),
        ("broken.jsonl", b'{"a": 1}\n{"b', ["a"]),
        ("broken.csv.gz", b"no gzip", []),
        ("broken.parquet", b"no parquet", []),
        ("no-suffix", CSV.encode(), []),
        ("empty.csv", b"", []),
    ],
)
def test_columns_at_a_glance(tmp_path: Path, name: str, content: bytes, columns: list[str]) -> None:
    (tmp_path / name).write_bytes(content)
    assert columns_at_a_glance(str(tmp_path / name)) == columns


def test_columns_of_parquet_and_of_a_chosen_delimiter(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "größe": ["x"]}), tmp_path / "a.parquet")
    assert columns_at_a_glance(str(tmp_path / "a.parquet")) == ["id", "größe"]
    (tmp_path / "a.csv").write_text("a|b;c\n1|2;3\n", encoding="utf-8")
    assert columns_at_a_glance(str(tmp_path / "a.csv"), delimiter=";") == ["a|b", "c"]
    assert columns_at_a_glance(str(tmp_path)) == []
