"""The length of a job's vectors: believed once two requests agree, and never written wrong."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import StoreError
from batcher.core.model import Learned
from tests.engine.fleet.crew import completed, worker
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import (
    Ran,
    Work,
    audit,
    cancelled_ever_later,
    open_work,
    read_lines,
    words,
)

WRONG = "[[fault=other_model*1]]"
"""All vectors of the first answer to this text have 4 dimensions, as if by another model."""


def lengths(ran: Ran) -> set[int]:
    """The lengths of the vectors in the output."""
    return {len(record["embedding"]) for record in ran.records}


def whole(work: Work, ran: Ran, rows: int) -> bool:
    """Every row has its one vector of the right length, and the books are in order."""
    audit(work, ran.report)
    assert ran.report.exit_code == 0
    assert ran.failed == {}
    assert ran.report.rows_done == rows
    return ran.done == list(range(rows)) and lengths(ran) == {8}


@pytest.mark.parametrize("max_inputs", [1, 4])
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("database", ["memory://", "b.db"])
@in_virtual_time
async def test_a_wrong_first_answer_is_asked_for_again_once_two_agree(
    here: Path, max_inputs: int, concurrency: int, database: str
) -> None:
    async with open_work(here, database=database, latency_ms=100) as work:
        spec = work.embed(
            [f"{WRONG} a", *words(30)], max_inputs=max_inputs, concurrency=concurrency
        )
        ran = await work.run(spec)

        assert whole(work, ran, 31)
        assert work.stats.inputs_served_twice == max_inputs
        assert ran.report.doubt_requests == 1


@pytest.mark.parametrize("wrong", [0, 1])
@in_virtual_time
async def test_of_two_requests_that_differ_both_are_asked_until_two_agree(
    here: Path, wrong: int
) -> None:
    async with open_work(here) as work:
        texts = list(words(4))
        texts[2 * wrong] += WRONG
        ran = await work.run(work.embed(texts, max_inputs=2, concurrency=1))

        assert whole(work, ran, 4)
        assert work.stats.requests == 3 + wrong  # the oldest answer is doubted first


@pytest.mark.parametrize("rows", [1, 5])
@in_virtual_time
async def test_a_job_of_one_request_believes_it(here: Path, rows: int) -> None:
    async with open_work(here) as work:
        started = work.now()
        spec = work.embed(list(words(rows)))
        ran = await work.run(spec)

        assert whole(work, ran, rows)
        assert work.stats.requests == 1
        assert work.now() - started < 0.5
        again = await work.run(spec, output="again.jsonl")
        assert again.records == ran.records
        assert work.stats.requests == 1


@in_virtual_time
async def test_a_row_that_is_always_wrong_does_not_make_itself_believed(here: Path) -> None:
    """It answers itself again and again; but it is one request, and has one vote."""
    async with open_work(here, latency_ms=1000) as work:
        texts = ["[[fault=other_model]] a", *words(300)]
        ran = await work.run(work.embed(texts, max_inputs=1, concurrency=4))

        assert ran.failed == {0: ("wrong_dimension", 6)}
        assert ran.done == list(range(1, 301))
        assert lengths(ran) == {8}
        audit(work, ran.report)


@in_virtual_time
async def test_two_rows_of_which_one_is_always_wrong_come_to_an_end(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.embed(["[[fault=other_model]] a", "b"], max_inputs=1))

        assert ran.report.exit_code == 3
        assert len(ran.failed) == 1
        assert {code for code, _ in ran.failed.values()} == {"wrong_dimension"}
        assert len(lengths(ran)) == 1
        audit(work, ran.report)


@in_virtual_time
async def test_a_length_that_was_asked_for_needs_no_votes(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.embed([f"{WRONG} a", *words(5)], max_inputs=1, dimensions=6)
        ran = await work.run(spec)

        assert ran.done == list(range(6))
        assert lengths(ran) == {6}
        assert work.stats.inputs_served_twice == 1


@in_virtual_time
async def test_rows_of_many_chunks_are_taken_back_whole(here: Path) -> None:
    async with open_work(here) as work:
        first = f"{WRONG} " + " ".join(f"part {number} of a long text" for number in range(9))
        last = " ".join(f"piece {number} of another one" for number in range(9))
        texts = [first, *words(9), last]
        spec = work.embed(texts, overlong="mean", max_input_tokens=16, max_inputs=1, concurrency=1)
        ran = await work.run(spec)

        assert whole(work, ran, 11)


# --- ends in between ------------------------------------------------------------------------------


async def stop_after(work: Work, spec: Any, answers: int, *, crash: bool) -> None:
    """Run until so many requests were served, then end in good order or by a crash."""
    task = asyncio.create_task(work.run(spec))
    while work.stats.requests_served < answers:
        await asyncio.sleep(0.05)
    if crash:
        await asyncio.sleep(0.4)  # the answer is there and committed
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        assert work.runner.interrupt()
        assert (await task).report.exit_code == 130


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("max_inputs", [1, 4])
@pytest.mark.parametrize("database", ["memory://", "b.db"])
@in_virtual_time
async def test_a_wrong_answer_from_before_the_end_of_a_run_is_taken_back_in_the_next(
    here: Path, crash: bool, max_inputs: int, database: str
) -> None:
    async with open_work(here, database=database, latency_ms=300) as work:
        source = work.write([f"{WRONG} a", *words(20)])
        spec = work.embed(source, max_inputs=max_inputs, concurrency=1, rpm=100)
        await stop_after(work, spec, 1, crash=crash)
        (report,) = await work.runner.jobs()
        assert report.rows_done == max_inputs  # kept, since it may be right

        assert whole(work, await work.run(spec), 21)


@pytest.mark.parametrize("crash", [False, True])
@in_virtual_time
async def test_a_right_answer_from_before_the_end_of_a_run_is_not_asked_for_again(
    here: Path, crash: bool
) -> None:
    async with open_work(here, latency_ms=300) as work:
        source = work.write([*words(20), f"{WRONG} a"])
        spec = work.embed(source, max_inputs=1, concurrency=1, rpm=100)
        await stop_after(work, spec, 1, crash=crash)

        assert whole(work, await work.run(spec), 21)
        assert work.stats.inputs_served_twice == (2 if crash else 1)  # crash: one was in flight


@pytest.mark.parametrize("crash", [False, True])
@in_virtual_time
async def test_a_job_of_one_request_that_was_stopped_after_it_asks_nothing_more(
    here: Path, crash: bool
) -> None:
    async with open_work(here, latency_ms=300) as work:
        spec = work.embed(list(words(5)))
        await stop_after(work, spec, 1, crash=False)
        assert whole(work, await work.run(spec), 5)
        assert work.stats.requests == 1


@pytest.mark.parametrize("step", [3, 11])
@in_virtual_time
async def test_cancelled_anywhere_it_ends_with_the_same_output(here: Path, step: int) -> None:
    """Also between what was agreed, what is taken back and what is asked for again."""
    texts = [f"{WRONG} a", *words(16), f"{WRONG} b"]
    (here / "quiet").mkdir()
    async with open_work(here / "quiet") as work:
        await work.run(work.embed(texts, max_inputs=2, concurrency=1))
    expected = (here / "quiet" / "out.jsonl").read_bytes()
    assert b"embedding" in expected

    async with open_work(here, latency_ms=100, database="b.db") as work:
        spec = work.embed(work.write(texts), max_inputs=2, concurrency=2)
        ran, cancelled = await cancelled_ever_later(work, spec, count(step, step))

        assert cancelled > 8
        assert whole(work, ran, 18)
        assert (here / "out.jsonl").read_bytes() == expected


@in_virtual_time
async def test_results_before_two_agree_can_be_exported(here: Path) -> None:
    """Those of one length: a file with two of them could not be read."""
    async with open_work(here, latency_ms=300) as work:
        spec = work.embed([f"{WRONG} a", *words(20)], max_inputs=1, concurrency=1, rpm=100)
        await stop_after(work, spec, 2, crash=False)
        (report,) = await work.runner.jobs()
        assert report.rows_done == 2
        await work.runner.export(report.job, output=str(here / "part.jsonl"), partial=True)
        assert [len(record["embedding"]) for record in read_lines(here / "part.jsonl")] == [4]


@in_virtual_time
async def test_nothing_is_written_where_results_of_a_complete_job_cannot_be_used(
    here: Path,
) -> None:
    async with open_work(here, database="b.db") as work:
        ran = await work.run(work.embed(list(words(5))))
        (here / "out.jsonl").unlink()
        await work.runner._services.store.learn(ran.report.job, Learned(dimension=4))
        with pytest.raises(StoreError, match="5 rows are done and 0 have a result"):
            await work.runner.export(ran.report.job, output=str(here / "out.jsonl"))
        assert not (here / "out.jsonl").exists()


@in_virtual_time
async def test_what_is_taken_back_counts_against_the_budget(here: Path) -> None:
    async with open_work(here, latency_ms=300) as work:
        source = work.write([f"{WRONG} a", *words(40)])
        settings: dict[str, Any] = {"price": "1000,1000", "max_inputs": 1, "concurrency": 1}
        spec = work.embed(source, max_cost=Decimal("0.05"), **settings)
        ran = await work.run(spec)

        assert (ran.report.exit_code, ran.report.status) == (4, "over_budget")
        assert 0 < ran.report.rows_done < 41
        cost = ran.report.cost_usd
        assert cost is not None
        assert cost <= Decimal("0.05")
        assert cost == Decimal(work.stats.prompt_tokens) / 1000
        higher = work.embed(source, max_cost=Decimal(1), **settings)
        assert whole(work, await work.run(higher), 41)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rows", [1, 31, 600])
@in_virtual_time
async def test_workers_agree_on_one_length(here: Path, workers: int, rows: int) -> None:
    """Also where the worker that got the wrong answer has nothing else to ask."""
    database = f"sqlite:///{here}/fleet.db"
    async with (
        open_work(here, database=database, latency_ms=500) as work,
        AsyncExitStack() as stack,
    ):
        texts = list(words(rows))
        if rows > 1:
            texts[0] += WRONG
        report = await work.runner.submit(work.embed(texts, max_inputs=1, concurrency=4))
        for _ in range(workers):
            await stack.enter_async_context(worker(database))
        assert whole(work, await completed(work, report.job), rows)
