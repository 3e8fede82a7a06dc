"""A database that is damaged is told as one, and nothing that is wrong is ever written out."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.errors import BatcherError, DamagedStore, StoreError
from batcher.core.job.spec import JobSpec
from batcher.engine.runner import Runner
from batcher.settings import Settings
from batcher.wiring import open_runner

ROWS = 600
PAGE = 16_384


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a database of two complete jobs and their outputs."""
    here = tmp_path_factory.mktemp("original")
    asyncio.run(_make(here))
    return here


def spec_of(here: Path, kind: str) -> JobSpec:
    options = {"text": "text"} if kind == "embed" else {"text": "text", "labels": "alpha,beta"}
    model = "text-embedding-3-small" if kind == "embed" else "gpt-4o-mini"
    return JobSpec(
        kind=kind, input=str(here / "in.csv"), id="id", options=options, model=model, simulate=True,
        params={"dimensions": 8} if kind == "embed" else {},
    )  # fmt: skip


async def _make(here: Path) -> None:
    rows = "".join(f"r{number},a text {number}\n" for number in range(ROWS))
    (here / "in.csv").write_text(f"id,text\n{rows}r-,\n")
    async with open_runner(Settings(database_url=str(here / "b.db"))) as runner:
        for kind in ("embed", "classify"):
            await runner.run(spec_of(here, kind), output=str(here / f"{kind}.csv"))
    with closing(sqlite3.connect(here / "b.db")) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


async def everything(here: Path, runner: Runner) -> dict[str, str | None]:
    """What each command came to: None, or what it said of the damage."""
    said: dict[str, str | None] = {}

    async def attempt(name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            found = await work()
        except BatcherError as error:
            said[name] = str(error)
            return None
        said[name] = None
        return found

    async def all_of(values: Any) -> list[Any]:
        return [value async for value in values]

    reports = await attempt("jobs", runner.jobs) or []
    for report in reports:
        id_, kind = report.job, report.kind
        out, part = str(here / f"{kind}.csv"), str(here / f"{kind}.part.csv")
        await attempt(f"status {kind}", partial(runner.status, id_))
        await attempt(f"errors {kind}", partial(all_of, runner.errors(id_)))
        await attempt(f"results {kind}", partial(all_of, runner.results(id_)))
        await attempt(f"export {kind}", partial(runner.export, id_, output=out))
        await attempt(f"partial {kind}", partial(runner.export, id_, output=part, partial=True))
        await attempt(f"retry {kind}", partial(runner.retry, id_))
    await attempt("schedules", runner.schedules.all)
    await attempt("workers", runner.workers)
    await attempt("purge", lambda: runner.purge(-10.0))
    await attempt("space", runner.give_back)
    return said


async def all_commands(here: Path) -> dict[str, str | None]:
    try:
        async with open_runner(Settings(database_url=str(here / "b.db"))) as runner:
            return await everything(here, runner)
    except BatcherError as error:
        return {"open": str(error)}


def damaged_copy(original: Path, scratch: Path, damage: Callable[[bytearray], None]) -> None:
    shutil.rmtree(scratch)
    scratch.mkdir()
    content = bytearray((original / "b.db").read_bytes())
    damage(content)
    (scratch / "b.db").write_bytes(content)


def check(original: Path, scratch: Path, said: dict[str, str | None]) -> None:
    """Nothing was unforeseen (it would have been raised), and what was written is right."""
    for text in said.values():
        assert text is None or ("a text " not in text and len(text) < 2_000)
    for kind in ("embed", "classify"):
        right = (original / f"{kind}.csv").read_text().splitlines()
        if said.get(f"export {kind}", "") is None:
            assert (scratch / f"{kind}.csv").read_text().splitlines() == right
        if said.get(f"partial {kind}", "") is None:
            assert set((scratch / f"{kind}.part.csv").read_text().splitlines()) <= set(right)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_flipped_byte_is_unforeseen_or_written_out(
    original: Path, scratch: Path, data: st.DataObject
) -> None:
    def flip(content: bytearray) -> None:
        places = st.integers(0, len(content) - 1)
        for place in data.draw(st.lists(places, min_size=1, max_size=40)):
            content[place] ^= data.draw(st.integers(1, 255))

    damaged_copy(original, scratch, flip)
    check(original, scratch, asyncio.run(all_commands(scratch)))


@pytest.mark.parametrize("text", [b"CREATE TABLE job", b"CREATE INDEX", b"CREATE UNIQUE", b"BLOB"])
@pytest.mark.parametrize("at", [0, 3, 7, 13])
def test_tables_whose_description_is_no_text_are_not_unforeseen(
    original: Path, scratch: Path, text: bytes, at: int
) -> None:
    """The driver fails to say what SQLite says of them."""

    def flip(content: bytearray) -> None:
        if (place := content.find(text)) >= 0:
            content[place + at] ^= 128

    damaged_copy(original, scratch, flip)
    check(original, scratch, asyncio.run(all_commands(scratch)))


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_page_that_is_lost_is_unforeseen_or_written_out(
    original: Path, scratch: Path, data: st.DataObject
) -> None:
    def lose(content: bytearray) -> None:
        pages = len(content) // PAGE
        for page in data.draw(st.sets(st.integers(1, pages - 1), min_size=1, max_size=4)):
            fill = data.draw(st.sampled_from([b"\0", b"\xff", b"x"]))
            content[page * PAGE : (page + 1) * PAGE] = fill * PAGE

    damaged_copy(original, scratch, lose)
    check(original, scratch, asyncio.run(all_commands(scratch)))


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_no_file_cut_short_is_unforeseen_or_written_out(
    original: Path, scratch: Path, data: st.DataObject
) -> None:
    def cut(content: bytearray) -> None:
        del content[data.draw(st.integers(1, len(content) - 1)) :]

    damaged_copy(original, scratch, cut)
    check(original, scratch, asyncio.run(all_commands(scratch)))


async def test_a_result_that_changed_is_told_with_job_shard_and_rows(
    original: Path, tmp_path: Path
) -> None:
    shutil.copy(original / "b.db", tmp_path / "b.db")
    with closing(sqlite3.connect(tmp_path / "b.db")) as raw:
        shard, blob = raw.execute(
            "SELECT c.shard_id, c.results FROM checkpoint c JOIN shard s ON s.id = c.shard_id "
            "JOIN job j ON j.id = s.job_id WHERE j.spec LIKE '%classify%' "
            "AND length(c.results) > 100 AND s.ordinal = 1"
        ).fetchone()
        changed = bytes([blob[0] ^ 1]) + blob[1:]
        raw.execute("UPDATE checkpoint SET results = ? WHERE shard_id = ? AND results = ?",
                    (changed, shard, blob))  # fmt: skip
        raw.commit()
    async with open_runner(Settings(database_url=str(tmp_path / "b.db"))) as runner:
        (job,) = [report for report in await runner.jobs() if report.kind == "classify"]
        out = tmp_path / "out.csv"
        with pytest.raises(DamagedStore) as raised:
            await runner.export(job.job, output=str(out))
        assert f"job {job.job}" in str(raised.value)
        assert "results of its shard 1 (rows 256 to 511" in str(raised.value)
        assert "--fresh" in str(raised.value)
        assert not out.exists()
        report = await runner.export(job.job, output=str(out), partial=True)
        right = set((original / "classify.csv").read_text().splitlines())
        left = set(out.read_text().splitlines())
        assert left < right
        assert len(right - left) <= 256
        (note,) = [note for note in report.notes if "left out" in note]
        assert "rows 256 to 511" in note
        manifest = json.loads((tmp_path / "out.csv.manifest.json").read_text())
        assert note in manifest["notes"]
        (other,) = [report for report in await runner.jobs() if report.kind == "embed"]
        await runner.export(other.job, output=str(tmp_path / "other.csv"))


async def test_a_damaged_table_is_named_with_what_is_lost(original: Path, tmp_path: Path) -> None:
    content = bytearray((original / "b.db").read_bytes())
    with closing(sqlite3.connect(original / "b.db")) as raw:
        (root,) = raw.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'checkpoint'"
        ).fetchone()
    content[(root - 1) * PAGE : root * PAGE] = b"\xff" * PAGE
    (tmp_path / "b.db").write_bytes(content)
    async with open_runner(Settings(database_url=str(tmp_path / "b.db"))) as runner:
        (job, *_) = await runner.jobs()
        with pytest.raises(StoreError, match=r"damaged in the table checkpoint.*results that were"):
            await runner.export(job.job, output=str(tmp_path / "out.csv"))


async def test_what_was_kept_without_checksums_is_read_as_ever(
    original: Path, tmp_path: Path
) -> None:
    shutil.copy(original / "b.db", tmp_path / "b.db")
    with closing(sqlite3.connect(tmp_path / "b.db")) as raw:
        raw.execute("UPDATE checkpoint SET checksum = NULL")
        raw.execute("UPDATE shard_payload SET checksum = NULL")
        raw.commit()
    async with open_runner(Settings(database_url=str(tmp_path / "b.db"))) as runner:
        for report in await runner.jobs():
            out = tmp_path / f"{report.kind}.csv"
            await runner.export(report.job, output=str(out))
            assert out.read_bytes() == (original / out.name).read_bytes()


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_damage_to_the_names_of_tables_is_unforeseen_or_written_out(
    original: Path, scratch: Path, data: st.DataObject
) -> None:
    """SQLite quotes its schema in what it says of one that is damaged, whatever bytes are in it."""

    def overwrite(content: bytearray) -> None:
        words = [m.start() for m in re.finditer(rb"CREATE (?:TABLE|UNIQUE INDEX|INDEX)", content)]
        for place in data.draw(st.sets(st.sampled_from(words), min_size=1, max_size=3)):
            at = place + data.draw(st.integers(0, 200))
            noise = data.draw(st.binary(min_size=1, max_size=24))
            content[at : at + len(noise)] = noise

    damaged_copy(original, scratch, overwrite)
    check(original, scratch, asyncio.run(all_commands(scratch)))
