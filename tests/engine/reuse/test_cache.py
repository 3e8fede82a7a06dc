"""A cache across jobs has its seat: what checkpoints commit, it keeps, and the next job reads."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from batcher.adapters.system.planner_process import start_planner_process
from batcher.core.kind import Shape
from batcher.engine.runner import Runner
from batcher.ports.planning import PlannerProcess, PlanTask
from tests.engine.reuse.caching import Cache, make_database, with_cache
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, words

KINDS = [("embed", Shape.VECTOR), ("classify", Shape.JSON), ("chat", Shape.JSON)]
TEXTS = list(words(30))
MIXED = [TEXTS[20], "a new text", *TEXTS[:10], "", TEXTS[3], "another new one"]


@asynccontextmanager
async def caching(
    here: Path, shape: Shape, **config: Any
) -> AsyncIterator[tuple[Work, Work, Cache]]:
    """The same provider and database twice: without the cache, and with it."""
    database = here / "batcher.db"
    await make_database(database)
    async with open_work(here, database=str(database), **config) as work:
        runner, cache = with_cache(work.runner, database, shape)
        yield work, Work(work.simulator, runner, here), cache


def served(work: Work, kind: str) -> int:
    return work.stats.inputs_served if kind == "embed" else work.stats.requests


def kept_contents(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM kept_answer").fetchone()
    return int(count)


@pytest.mark.parametrize(("kind", "shape"), KINDS)
@in_virtual_time
async def test_the_next_job_reads_what_the_last_one_filled(
    here: Path, kind: str, shape: Shape
) -> None:
    async with caching(here, shape) as (plain, cached, _):
        make = getattr(plain, kind)
        await cached.run(make(cached.write(TEXTS, "in1.jsonl")), output="first.jsonl")
        await plain.run(make(plain.write(MIXED)), output="full.jsonl")
        before = served(plain, kind)
        again = await cached.run(make(cached.write(MIXED)), fresh=True)
        assert served(plain, kind) - before == 2
    assert (again.report.rows_done, again.report.rows_failed) == (14, 1)
    assert cached.path("out.jsonl").read_bytes() == cached.path("full.jsonl").read_bytes()


@in_virtual_time
async def test_a_job_of_no_strategy_says_no_contents(here: Path) -> None:
    async with caching(here, Shape.JSON) as (plain, _, cache):
        await plain.run(plain.classify(TEXTS))
    assert cache.told == []


@in_virtual_time
async def test_what_failed_is_not_told_and_what_was_cut_off_is_told_as_such(here: Path) -> None:
    texts = ["[[fault=length]] a long one", "[[fault=400]] a bad one", "", "a good one"]
    async with caching(here, Shape.JSON) as (_, cached, cache):
        first = await cached.run(cached.chat(texts))
        assert sorted(first.done) == [0, 3]
        assert first.records[0]["finish_reason"] == "length"
        assert sorted(one.is_whole for one in cache.told) == [False, True]
        before = cached.stats.requests
        await cached.run(cached.chat(texts), output="again.jsonl", fresh=True)
        assert cached.stats.requests - before == 2, "the cut one and the bad one are sent again"


@in_virtual_time
async def test_a_row_of_many_pieces_is_told_piece_by_piece(here: Path) -> None:
    long = " ".join(f"word{number}" for number in range(60))
    settings: dict[str, Any] = {"overlong": "split", "max_input_tokens": 20, "max_inputs": 2}
    async with caching(here, Shape.VECTOR) as (_, cached, cache):
        spec = cached.embed([long, "short"], **settings)
        first = await cached.run(spec)
        chunks = [one.chunk for one in cache.told if one.chunks > 1]
        assert sorted(chunks) == list(range(len(chunks)))
        assert len(chunks) > 3
        before = cached.stats.inputs_served
        again = await cached.run(spec, output="again.jsonl", fresh=True)
        assert cached.stats.inputs_served == before
    assert again.records == first.records


@in_virtual_time
async def test_vectors_of_a_length_that_was_wrong_are_never_kept(here: Path) -> None:
    """The provider gives the first of them another length, until two requests agree."""
    texts = ["[[fault=wrong_dimension]] odd", *words(12)]
    async with caching(here, Shape.VECTOR) as (_, cached, cache):
        ran = await cached.run(cached.embed(texts, max_inputs=1))
    assert {len(one.result) for one in cache.told} == {8 * 4}
    assert len(cache.told) == ran.report.rows_done


@in_virtual_time
async def test_vectors_of_a_single_request_are_kept_once_they_are_believed(here: Path) -> None:
    async with caching(here, Shape.VECTOR) as (_, cached, cache):
        await cached.run(cached.embed(TEXTS))
        assert cached.stats.requests == 1
        assert len(cache.told) == len(TEXTS)


@in_virtual_time
async def test_since_last_comes_first_and_the_cache_has_the_rest(here: Path) -> None:
    nightly: dict[str, Any] = {"name": "nightly", "since_last": True}
    async with caching(here, Shape.JSON) as (plain, cached, _):
        await plain.run(plain.classify(TEXTS[:10], **nightly), output="1.jsonl")
        await cached.run(cached.classify(TEXTS[5:20]), output="2.jsonl")
        before = plain.stats.requests
        ran = await cached.run(cached.classify(TEXTS, **nightly), output="3.jsonl")
        assert plain.stats.requests - before == 10
    found = ran.report.incremental
    assert found is not None
    assert found.carried_over == 20
    assert ran.done == list(range(30))


@in_virtual_time
async def test_a_process_of_its_own_plans_with_the_cache(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.engine.opening.intake.MANY_ROWS", 20)
    monkeypatch.setattr("batcher.adapters.system.planner_process._processors", lambda: 2)
    started: list[PlanTask] = []

    def start(task: PlanTask) -> PlannerProcess | None:
        process = start_planner_process(task)
        while process is not None and not process.is_ready():
            sleep(0.01)
        started.append(task)
        return process

    async with caching(here, Shape.JSON) as (plain, cached, _):
        await cached.run(cached.classify(TEXTS[:25]), output="first.jsonl")
        services = replace(cached.runner._services, start_planner=start)
        beside = Work(plain.simulator, Runner(services), here)
        before = plain.stats.requests
        ran = await beside.run(beside.classify(TEXTS))
        assert plain.stats.requests - before == 5
        assert [task.lookup is not None for task in started] == [True]
        assert ran.done == list(range(30))
        nightly: dict[str, Any] = {"name": "nightly", "since_last": True}
        for number in range(2):  # the second has a former job, which only this process looks up
            spec = beside.classify(TEXTS, **nightly)
            await beside.run(spec, output=f"{number}.jsonl", fresh=True)
        assert len(started) == 2
