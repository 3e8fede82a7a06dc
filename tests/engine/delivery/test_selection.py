"""Some of a job's records: pages of them, and one by its id, without reading all the others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import UsageError
from batcher.core.limits import ShardLimits
from batcher.engine.job.results import Result
from batcher.ports import StoredShard
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, words

ROWS = 100
LONG = " ".join(words(8))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of ten rows or so."""
    small = {"max_requests": 10, "max_pieces": 10, "max_characters": 2_000_000}
    monkeypatch.setattr(ShardLimits.__init__, "__kwdefaults__", small)


def counted(work: Work, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ordinals of the shards that are read from now on."""
    store = work.runner._services.store
    read: list[int] = []
    all_shards, one_shard = store.shards, store.shard

    async def shards(job_id: str, **more: Any) -> AsyncIterator[StoredShard]:
        async for found in all_shards(job_id, **more):
            read.append(found.ordinal)
            yield found

    async def shard(job_id: str, ordinal: int) -> StoredShard | None:
        read.append(ordinal)
        return await one_shard(job_id, ordinal)

    monkeypatch.setattr(store, "shards", shards)
    monkeypatch.setattr(store, "shard", shard)
    return read


async def all_results(work: Work, job: str, **more: Any) -> list[Result]:
    return [result async for result in work.runner.results(job, **more)]


@pytest.mark.parametrize("database", ["memory://", "state/b.db"])
@in_virtual_time
async def test_results_follow_a_cursor_whatever_it_is(here: Path, database: str) -> None:
    texts = [LONG if number % 7 == 0 else text for number, text in enumerate(words(ROWS))]
    texts[33] = ""
    async with open_work(here, database=database) as work:
        spec = work.embed(texts, overlong="split", max_input_tokens=20)
        job = (await work.run(spec)).report.job
        everything = [result.cursor for result in await all_results(work, job)]
        assert len(set(everything)) == len(everything) > ROWS
        assert everything == sorted(everything)
        for at in range(0, len(everything), 9):
            behind = await all_results(work, job, after=everything[at])
            assert [result.cursor for result in behind] == everything[at + 1 :]
        assert await all_results(work, job, after=(ROWS, 0)) == []


@in_virtual_time
async def test_a_page_reads_no_shard_before_or_behind_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with open_work(here, database="state/b.db") as work:
        job = (await work.run(work.classify(list(words(ROWS))))).report.job
        read = counted(work, monkeypatch)
        last = await work.runner.records.write_some(job, "jsonl", after=44, limit=10)
        printed = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [record["id"] for record in printed] == [f"r{row}" for row in range(45, 55)]
    assert last == 54
    assert read == [4, 5]


@in_virtual_time
async def test_a_record_is_found_by_its_id_in_one_shard(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with open_work(here, database="state/b.db") as work:
        ran = await work.run(work.classify(list(words(ROWS))))
        read = counted(work, monkeypatch)
        await work.runner.records.write_one(ran.report.job, "jsonl", "r77")
        (printed,) = capfdbinary.readouterr().out.splitlines()
    assert json.loads(printed) == next(record for record in ran.records if record["id"] == "r77")
    assert read == [7]


@in_virtual_time
async def test_a_row_without_an_id_column_is_found_by_its_number(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with open_work(here) as work:
        job = (await work.run(work.classify(list(words(ROWS)), id=None))).report.job
        read = counted(work, monkeypatch)
        await work.runner.records.write_one(job, "csv", "31")
        assert capfdbinary.readouterr().out.splitlines()[1].startswith(b"r31,")
        assert read == [3]
        for unknown in (str(ROWS), "031", "-1", "x", "9" * 40):
            with pytest.raises(UsageError, match="no row with the id"):
                await work.runner.records.write_one(job, "csv", unknown)


@in_virtual_time
async def test_a_row_without_a_result_says_why(here: Path) -> None:
    async with open_work(here) as work:
        texts = [*words(3), "", *words(1, marker="[[fault=400]]"), *words(2)]
        job = (await work.run(work.classify(texts))).report.job
        for row, code in ((3, "empty_input"), (4, "invalid_value")):
            with pytest.raises(UsageError, match=f"'r{row}' of job {job} failed for good .{code}"):
                await work.runner.records.write_one(job, "jsonl", f"r{row}")
        with pytest.raises(UsageError, match="no row with the id 'other'"):
            await work.runner.records.write_one(job, "jsonl", "other")


@in_virtual_time
async def test_all_chunks_of_a_row_are_found_by_its_id(
    here: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with open_work(here) as work:
        spec = work.embed(["a", LONG, "b"], overlong="split", max_input_tokens=20)
        ran = await work.run(spec)
        await work.runner.records.write_one(ran.report.job, "jsonl", "r1")
        printed = capfdbinary.readouterr().out.splitlines()
        assert len(printed) > 1
        assert list(map(json.loads, printed)) == [r for r in ran.records if r["id"] == "r1"]
        last = await work.runner.records.write_some(ran.report.job, "jsonl", after=0, limit=1)
        assert capfdbinary.readouterr().out.splitlines() == printed
        assert last == 1


@in_virtual_time
async def test_errors_follow_a_row(here: Path) -> None:
    async with open_work(here) as work:
        texts = ["" if number % 3 == 0 else text for number, text in enumerate(words(20))]
        job = (await work.run(work.classify(texts))).report.job
        rows = [letter.row async for letter in work.runner.errors(job)]
        assert rows == list(range(0, 20, 3))
        for row in (-1, 0, 4, 18):
            behind = [letter.row async for letter in work.runner.errors(job, after=row)]
            assert behind == [other for other in rows if other > row]
