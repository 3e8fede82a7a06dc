"""Names of files that are not UTF-8 are names like others; other texts that are not are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Cli

ODD = os.fsdecode(b"caf\xe9 \xff")
"""As Linux lets a file be called, and as Python has it."""
ROWS = '{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n'


@pytest.fixture
def folder(cli: Cli) -> Path:
    """A folder of such a name, with an input and a prompt of such names."""
    folder = cli.directory / ODD
    folder.mkdir()
    (folder / f"{ODD}.jsonl").write_text(ROWS, encoding="utf-8")
    (folder / f"{ODD}.csv").write_text("id,text\na,one\nb,two\n", encoding="utf-8")
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["one", "two"]}), cli.directory / "in")
    (cli.directory / "in").rename(folder / f"{ODD}.parquet")
    (folder / ODD).write_text("{{ text }}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("source", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("target", ["jsonl", "csv", "parquet"])
def test_a_job_runs_whatever_its_files_are_called(
    cli: Cli, folder: Path, source: str, target: str
) -> None:
    prompt, output = str(folder / ODD), str(folder / f"out{ODD}.{target}")
    given = ("chat", str(folder / f"{ODD}.{source}"), "--prompt", prompt, "--id", "id")
    model = ("--model", "gpt-4o-mini")
    assert cli("estimate", *given, *model).code == 0
    ran = cli("run", *given, *model, "-o", output, "--simulate", "--json")
    assert (ran.code, ran.json["rows"]["done"], ran.json["output"]) == (0, 2, output)
    assert Path(output).stat().st_size > 0
    manifest = json.loads(Path(f"{output}.manifest.json").read_bytes())
    assert manifest["rows"]["done"] == 2
    (listed,) = cli("jobs", "--json").json
    assert listed["input"] == str(folder / f"{ODD}.{source}")
    assert cli("jobs").code == cli("status", listed["job"]).code == 0
    again = str(folder / f"again{ODD}.{target}")
    assert cli("export", listed["job"], "-o", again).code == 0
    assert cli("run", *given, *model, "-o", output, "--simulate").code == 0
    refused = cli("run", *given, *model, "-o", str(folder / ODD), "--simulate")
    assert refused.code == 2, refused


def test_the_database_and_a_job_file_may_be_called_so(cli: Cli, folder: Path) -> None:
    job = folder / f"{ODD}.toml"
    job.write_text('kind = "embed"\ninput = "in.jsonl"\nmodel = "m"\ntext = "text"\n', "utf-8")
    (folder / "in.jsonl").write_text(ROWS, encoding="utf-8")
    (cli.directory / "in.jsonl").write_text(ROWS, encoding="utf-8")
    database = str(folder / f"{ODD}.db")
    with_vectors = ("run", str(job), "--simulate", "--model", "text-embedding-3-small")
    for output in ("o.npy", "o.parquet"):
        assert cli(*with_vectors, "-o", str(folder / output), "--db", database).code == 0
    assert len(cli("jobs", "--json", "--db", database).json) == 1


def test_dead_letters_are_listed_in_a_file_that_is_called_so(cli: Cli, folder: Path) -> None:
    (folder / "in.jsonl").write_text(ROWS.replace("two", "[[fault=400]]"), encoding="utf-8")
    output = str(folder / f"{ODD}.out.csv")
    given = ("embed", str(folder / "in.jsonl"), "--text", "text", "--model", "m")
    assert cli("run", *given, "-o", output, "--simulate").code == 3
    assert Path(f"{output}.errors.jsonl").read_bytes().count(b"\n") == 1


@pytest.mark.parametrize(
    "given",
    [
        ("--model", f"m{ODD}"),
        ("--name", f"n{ODD}"),
        ("--id", ODD),
        ("--text", ODD),
        ("--param", f"user={ODD}"),
        ("--param", f"{ODD}=1"),
        ("--param", 'stop=["\\ud800"]'),
        ("--header", f"X-A: {ODD}"),
        ("--labels", f"a,{ODD}"),
        ("--label", ODD),
        ("--api-version", ODD),
    ],
    ids=lambda given: given[0],
)
def test_other_texts_that_are_not_utf8_are_refused(
    cli: Cli, folder: Path, given: tuple[str, str]
) -> None:
    source = str(folder / f"{ODD}.jsonl")
    labels = () if given[0].startswith("--label") else ("--labels", "x,y")
    text = () if given[0] == "--text" else ("--text", "text")
    base = ("run", "classify", source, *text, *labels, "-o", "out.jsonl")
    ran = cli(*base, "--model", "m", *given)
    assert ran.code == 2
    assert given[0] in ran.stderr
    assert "is not UTF-8" in ran.stderr
    assert not (cli.directory / "out.jsonl").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("status", ODD),
        ("errors", ODD),
        ("export", ODD, "-o", "x.csv"),
        ("cancel", ODD),
        ("retry", ODD),
        ("pause", ODD),
        ("schedule", "pause", ODD),
        ("schedule", "remove", ODD),
        ("schedule", "run", ODD),
        (ODD,),
        ("run", ODD, "in.jsonl", "-o", "x.csv", "--model", "m"),
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_said_to_be_not_there(cli: Cli, command: tuple[str, ...]) -> None:
    ran = cli(*command)
    assert ran.code == 2, ran
    assert "unforeseen" not in ran.stderr
