"""A database that revision 0010 made is upgraded, and what is in it goes on as ever.

``databases/0010.sql`` holds three jobs over simulated answers: ``nightly`` is complete and has a
name, ``chunks`` is complete and has a record for each chunk, ``open`` was interrupted after some of
its 300 rows. Their plans are single blobs, prompts and all.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batcher.core.job.filter import JobFilter
from batcher.core.job.spec import JobSpec
from batcher.core.model import JobState
from batcher.settings import Settings
from batcher.wiring import open_runner

if TYPE_CHECKING:
    from batcher.engine.runner import Runner

OLD = Path(__file__).resolve().parent / "databases" / "0010.sql"
ROWS = {"nightly": 12, "chunks": 6, "open": 300}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with that database and the inputs of its jobs."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("b.db")) as raw:
        raw.executescript(OLD.read_text(encoding="utf-8"))
    for name, rows in ROWS.items():
        lines = [f"{name[0]}{row},{name[0]} text {row}\n" for row in range(rows)]
        Path(f"{name}.csv").write_text("id,text\n" + "".join(lines), encoding="utf-8")
    return tmp_path


def open_spec() -> JobSpec:
    return JobSpec(
        kind="embed", input="open.csv", id="id", options={"text": "text"}, max_inputs=1,
        model="text-embedding-3-small", params={"dimensions": 4}, simulate=True,
    )  # fmt: skip


def nightly_spec() -> JobSpec:
    return JobSpec(
        kind="classify", input="nightly.csv", id="id", name="nightly", since_last=True,
        options={"text": "text", "labels": "alpha,beta"}, model="gpt-4o-mini", simulate=True,
    )  # fmt: skip


def open_old() -> Any:
    return open_runner(Settings(database_url="b.db"))


async def job_of(runner: Runner, kind: str, state: JobState) -> str:
    (report,) = await runner.jobs(wanted=JobFilter(kind=kind, state=state))
    return report.job


async def test_an_open_job_is_finished_and_nothing_of_it_is_sent_again(here: Path) -> None:
    async with open_old() as runner:
        job = await job_of(runner, "embed", JobState.OPEN)
        before = await runner.status(job)
        assert 0 < before.rows_done < ROWS["open"]
        report = await runner.run(open_spec(), output="out.jsonl")
        assert (report.job, report.status, report.rows_done) == (job, "complete", ROWS["open"])
        assert report.requests == ROWS["open"]
        assert report.doubt_requests == 0
        fresh = await runner.run(open_spec(), output="fresh.jsonl", fresh=True)
        assert fresh.job != job
    assert Path("out.jsonl").read_bytes() == Path("fresh.jsonl").read_bytes()


async def test_a_complete_job_is_what_the_next_night_is_compared_with(here: Path) -> None:
    text = Path("nightly.csv").read_text(encoding="utf-8")
    Path("nightly.csv").write_text(text.replace("n text 3", "another text"), encoding="utf-8")
    async with open_old() as runner:
        report = await runner.run(nightly_spec(), output="out.jsonl")
        assert report.incremental is not None
        assert (report.incremental.carried_over, report.incremental.changed) == (11, 1)
        again = await runner.run(nightly_spec(), output="out.jsonl", fresh=True)
        assert again.incremental is not None
        assert again.incremental.carried_over == ROWS["nightly"]


async def test_chunks_that_were_not_cut_are_exported_with_their_length(here: Path) -> None:
    async with open_old() as runner:
        job = await job_of(runner, "embed", JobState.COMPLETE)
        await runner.export(job, output="chunks.jsonl")
    records = [json.loads(line) for line in Path("chunks.jsonl").read_text().splitlines()]
    spans = [(record["chunk"], record["start"], record["end"]) for record in records]
    assert spans == [(0, 0, len(f"c text {row}")) for row in range(ROWS["chunks"])]


async def test_a_row_is_found_by_its_id_though_no_hash_of_it_was_kept(
    here: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with open_old() as runner:
        job = await job_of(runner, "classify", JobState.COMPLETE)
        await runner.records.write_one(job, "jsonl", "n7")
    assert json.loads(capfdbinary.readouterr().out)["id"] == "n7"
