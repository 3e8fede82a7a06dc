"""An incremental plan: cut short anywhere, left to workers, estimated, on disk, over any edit."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.adapters.store import open_store
from batcher.adapters.system.row_index import SqliteRowIndex
from batcher.core.errors import StoreError
from batcher.core.job.fingerprint import CONTENT_BYTES
from batcher.core.kind import Shape
from batcher.core.limits import ShardLimits
from batcher.core.row.asked import Asked
from batcher.engine.reuse.previous_job import Former
from batcher.engine.reuse.strategies import filled
from batcher.engine.shards.payload import ShardPlan, encode_plan
from batcher.ports import Carried, EncodedPlan, NewShard, Store
from tests.engine.reuse.nights import FIRST, Nights, compared, edited, job_of, write
from tests.engine.virtual_time import VirtualLoop, in_virtual_time
from tests.engine.workbench import CANARY_KEY, Work, open_work, words
from tests.fakes import FakeClock
from tests.store.making import make_job
from tests.waiting import PATIENCE_SECONDS

MANY = {f"r{number}": text for number, text in enumerate(words(300))}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of a few rows, so that a plan of hundreds has many."""
    small = {"max_requests": 4, "max_pieces": 16, "max_characters": 2_000_000}
    monkeypatch.setattr(ShardLimits.__init__, "__kwdefaults__", small)


def store_of(work: Work) -> Store:
    return work.runner._services.store


def failing_after(store: Store, shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store be lost when so many more shards have been planned."""
    left = shards
    add_shard = store.add_shard

    async def add(job_id: str, fence: int, shard: NewShard | None, **more: Any) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoreError("the disk is full")
        return await add_shard(job_id, fence, shard, **more)

    monkeypatch.setattr(store, "add_shard", add)


async def cut_short(
    nights: Nights, rows: Mapping[str, str], shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night that ends when so many more shards have been planned."""
    with monkeypatch.context() as patch:
        failing_after(store_of(nights.work), shards, patch)
        with pytest.raises(StoreError, match="full"):
            await nights.run(rows)


# --- cut short --------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["memory://", "state/b.db"])
@pytest.mark.usefixtures("small_shards")
@in_virtual_time
async def test_planning_that_ends_early_goes_on_where_it_stood(
    here: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = edited(MANY)
    async with open_work(here, database=database) as work:
        nights = Nights(work)
        first = await nights.run(MANY)
        served = work.stats.inputs_served
        for shards in (0, 1, 5):
            await cut_short(nights, rows, shards, monkeypatch)
        last = await nights.run(rows)

        assert compared(last) == (2, 2, 0, 297, 1)
        assert last.report.incremental is not None
        assert last.report.incremental.since == first.report.job
        assert work.stats.inputs_served - served == 4
        await nights.in_full(rows)
        assert nights.same_bytes()


@pytest.mark.usefixtures("small_shards")
@in_virtual_time
async def test_where_the_former_job_goes_amid_planning_the_rest_is_sent(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = edited(MANY)
    async with open_work(here) as work:
        nights = Nights(work)
        first = await nights.run(MANY)
        await cut_short(nights, rows, 5, monkeypatch)
        assert await work.runner.purge(0) == []  # it is needed still
        await store_of(work).purge(first.report.job)
        last = await nights.run(rows)

        assert nights.told[1:] == [
            f"job {first.report.job} was deleted: every row that is not planned yet will be sent"
        ]
        carried = compared(last)[3]
        assert 0 < carried < 100
        assert last.report.rows_done == 301
        await nights.in_full(rows)
        assert nights.same_bytes()


@pytest.mark.usefixtures("small_shards")
@in_virtual_time
async def test_a_former_job_that_goes_at_the_last_moment_stops_the_run_and_loses_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = edited(MANY)
    async with open_work(here) as work:
        nights = Nights(work)
        await nights.run(MANY)

        async def gone(job_id: str, ordinal: int) -> None:
            return None

        with monkeypatch.context() as patch:
            patch.setattr(store_of(work), "shard", gone)
            with pytest.raises(StoreError, match="run again"):
                await nights.run(rows)
        assert compared(await nights.run(rows)) == (2, 2, 0, 297, 1)


# --- left to workers, estimated ---------------------------------------------------------------


@in_virtual_time
async def test_a_submitted_job_whose_every_row_is_carried_over_is_complete(here: Path) -> None:
    async with open_work(here) as work:
        await Nights(work).run(FIRST)
        turned = dict(reversed(list(FIRST.items())))
        told: list[str] = []
        spec = job_of(work, "embed", write(work, turned))
        report = await work.runner.submit(spec, on_told=told.append)
        assert (report.status, report.rows_done) == ("complete", 40)
        assert len(told) == 1
        new = job_of(work, "embed", write(work, {**turned, "n": "new"}))
        report = await work.runner.submit(new)
        assert (report.status, report.rows_done, report.rows_left) == ("open", 40, 1)


@in_virtual_time
async def test_an_estimate_counts_what_would_be_sent(here: Path) -> None:
    async with open_work(here) as work:
        nights = Nights(work)
        await nights.run(FIRST)
        spec = job_of(work, "embed", write(work, edited(FIRST)))
        estimated = await work.runner.estimate(spec)
        second = await nights.run(edited(FIRST))
        assert estimated.incremental == second.report.incremental
        assert estimated.rows == 41
        assert estimated.prompt_tokens == second.report.prompt_tokens
        assert estimated.requests == second.report.requests


@pytest.mark.usefixtures("small_shards")
@in_virtual_time
async def test_requests_are_packed_of_the_other_rows_alone(here: Path) -> None:
    """Rows between which others are carried over share a request all the same."""
    async with open_work(here) as work:
        nights = Nights(work, max_inputs=4)
        await nights.run(MANY)
        sent = work.stats.requests
        changed = {key: f"{text} anew" for key, text in list(MANY.items())[::4]}
        second = await nights.run({**MANY, **changed})
        assert compared(second) == (0, 75, 0, 225, 0)
        assert work.stats.requests - sent == 19  # 16 rows a shard, 4 of them in one request


# --- any edit ---------------------------------------------------------------------------------

LONG = "one two three four five six seven eight nine ten eleven twelve"
REFUSED = "[[fault=400]]"
IDS = st.sampled_from([f"k{number}" for number in range(30)])
TEXTS = st.sampled_from(["a", "b", "some words", " ", REFUSED, LONG])
TABLES = st.lists(st.tuples(IDS, TEXTS), max_size=30, unique_by=lambda row: row[0])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=TABLES, after=TABLES, overlong=st.sampled_from(["error", "mean", "split"]))
def test_after_any_edit_the_output_is_that_of_a_full_run(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[str, str]],
    after: list[tuple[str, str]],
    overlong: str,
) -> None:
    directory = tmp_path_factory.mktemp("edit")

    async def work_it() -> None:
        async with open_work(directory) as work:
            nights = Nights(work, overlong=overlong, max_input_tokens=8)
            first = {"good": "a good row", **dict(before)}
            second = {**dict(after), "good": "a good row"}
            await nights.run(first)
            ran = await nights.run(second)
            if ran.report.sent_nothing:
                return  # the same rows
            bad = {" ", REFUSED, LONG} if overlong == "error" else {" ", REFUSED}
            assert compared(ran) == differences(first, second, bad)
            await nights.in_full(second)
            full = work.path("full.out.jsonl").read_bytes()
            assert full == work.path("out.jsonl").read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", CANARY_KEY)
        patch.chdir(directory)
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(work_it())


def differences(
    before: Mapping[str, str], after: Mapping[str, str], bad: Collection[str]
) -> tuple[int, int, int, int, int]:
    """New, changed, failed before, carried over and removed rows of two tables."""
    both = before.keys() & after.keys()
    same = {key for key in both if before[key] == after[key]}
    failed = sum(before[key] in bad for key in same)
    gone = len(before) - len(both)
    return len(after) - len(both), len(both) - len(same), failed, len(same) - failed, gone


# --- memory -----------------------------------------------------------------------------------


async def test_the_index_does_not_hold_rows_in_memory(tmp_path: Path) -> None:
    """A former job of large shards is indexed, and every row of it found, a few at a time."""
    rows, shards = 1_000, 80
    store = await open_store(str(tmp_path / "b.db"), FakeClock())
    await store.open_job(make_job("former"), fresh=False)
    fence = await store.lease_plan("former", "planner", 30.0)
    assert fence is not None
    for ordinal in range(shards):
        shard = former_shard(ordinal, rows)
        end = shard.first_row + rows
        assert await store.add_shard("former", fence, shard, next_row=end, planned=False)
    former = Former(
        store=store,
        job_id="former",
        shape=Shape.VECTOR,
        open_index=lambda: SqliteRowIndex(tmp_path),
        gone=lambda: pytest.fail("it is there"),
    )
    tracemalloc.start()
    try:
        async with former.opened() as previous:
            assert previous is not None
            for first in range(0, rows, 100):  # from every shard, so that each is wanted again
                places = [
                    (ordinal, row) for row in range(first, first + 3) for ordinal in range(shards)
                ]
                shard = await filled(empty_shard(places), previous, Shape.VECTOR)
                assert shard.carried is not None
                assert len(shard.carried.results) == len(places) * 512
            for start in range(0, rows * shards, rows):
                ids = [f"row {number}" for number in range(start, start + rows)]
                assert None not in previous.index.find(ids)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await store.close()
    assert peak < 24 << 20  # of 41 MB of results, and as much of texts
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("b.db")] == []


def former_shard(ordinal: int, rows: int) -> NewShard:
    """A shard of so many rows of half a kilobyte, with vectors of as much."""
    first = ordinal * rows
    plan = ShardPlan(
        first_row=first,
        rows=rows,
        ids=[f"row {number}" for number in range(first, first + rows)],
        piece_rows=list(range(rows)),
        tokens=[64] * rows,
        starts=[0],
        chunks=None,
        contents=b"c" * CONTENT_BYTES * rows,
    )
    carried = Carried(pieces=tuple(range(rows)), rows=rows, results=bytes(512 * rows))
    return NewShard(
        ordinal=ordinal,
        first_row=first,
        rows=rows,
        pieces=rows,
        requests=1,
        plan=encode_plan(plan, Asked([("x" * 512,)] * rows)),
        columns=None,
        carried=carried,
    )


def empty_shard(places: list[tuple[int, int]]) -> NewShard:
    pieces = tuple(range(len(places)))
    return NewShard(
        ordinal=0,
        first_row=0,
        rows=len(places),
        pieces=len(places),
        requests=0,
        plan=EncodedPlan(outline=b"", prompts=b""),
        columns=None,
        carried=Carried(pieces=pieces, rows=len(places), places=places),
    )


async def test_an_index_that_nobody_waits_for_any_more_is_closed(tmp_path: Path) -> None:
    """The thread that makes it cannot be cancelled."""
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    made: list[SqliteRowIndex] = []

    def open_index() -> SqliteRowIndex:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(PATIENCE_SECONDS)
        made.append(SqliteRowIndex(tmp_path))
        return made[0]

    async def use(store: Store) -> None:
        former = Former(
            store=store, job_id="x", shape=Shape.VECTOR, open_index=open_index, gone=lambda: None
        )
        async with former.opened():
            pass

    store = await open_store("memory://", FakeClock())
    using = asyncio.create_task(use(store))
    await begun.wait()
    using.cancel()
    loop.call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await using
    with pytest.raises(StoreError, match="closed"):
        made[0].find(["a"])
