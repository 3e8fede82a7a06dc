"""Ends of a run that no provider brings about: from outside, by the input, at a dead letter."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from batcher.adapters.store.memory.store import MemoryStore
from batcher.adapters.store.sqlite.database import SqliteDatabase
from batcher.core.errors import BatcherError, InputError, JobInUse, UsageError
from batcher.core.model import JobEvent, JobState, StopCause
from batcher.engine.job.endings import LEAST_ROOM_BYTES, Ending, Endings, apply_ending
from batcher.engine.opening.intake import Intake
from batcher.engine.telemetry.run_stats import RunStats
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import MIXED, open_work, read_lines, words
from tests.fakes import EPOCH_WALL, FakeClock
from tests.store.making import make_job

# --- told to others -------------------------------------------------------------------------------

ENDINGS = [
    Endings.paused("no credit", 60.0, wall=EPOCH_WALL),
    Endings.refused("no such model"),
    Endings.out_of_budget("$1 is spent"),
    Endings.at_dead_letter(),
    Endings.unreadable("it is gone"),
    Endings.input_changed("it changed"),
    Endings.kind_failed("it raised"),
    Endings.plan_given_up(9),
    Endings.run_given_up(9, "ValueError in kinds.py"),
    Endings.by_hand(),
]


def test_every_cause_has_an_ending() -> None:
    assert {ending.cause for ending in ENDINGS} == set(StopCause)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.cause)
async def test_whoever_watches_a_job_is_told_what_its_run_ended_with(ending: Ending) -> None:
    store = MemoryStore(FakeClock())
    await store.open_job(make_job(), fresh=False)
    told = Endings.of(await apply_ending(store, "j1", ending))
    assert told == dataclasses.replace(ending, event=None)


async def test_a_job_that_was_cancelled_is_not_to_be_run_again() -> None:
    store = MemoryStore(FakeClock())
    await store.open_job(make_job(), fresh=False)
    told = Endings.of(await store.move("j1", JobEvent.CANCEL))
    assert (told.status, told.exit_code) == ("cancelled", 1)


# --- from outside ---------------------------------------------------------------------------------


@in_virtual_time
async def test_a_job_cancelled_by_another_process_stops_and_keeps_what_is_paid_for(
    here: Path,
) -> None:
    async with open_work(here, latency_ms=500, database="b.db") as work:
        spec = work.chat(list(words(100)), concurrency=4)

        async def cancel() -> None:
            await asyncio.sleep(3)
            async with open_work(here, database="b.db") as other:
                (report,) = await other.runner.jobs()
                await other.runner.cancel(report.job)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(cancel())
            ran = await work.run(spec)

        assert (ran.report.exit_code, ran.report.status) == (1, "cancelled")
        assert ran.report.rows_done == work.stats.requests_served
        exported = await work.runner.export(
            ran.report.job, output=str(here / "part.jsonl"), partial=True
        )
        assert len(read_lines(here / "part.jsonl")) == exported.rows_done
        with pytest.raises(UsageError, match="--partial"):
            await work.runner.export(ran.report.job, output=str(here / "whole.jsonl"))

        anew = await work.run(spec)
        assert anew.report.job != ran.report.job
        assert anew.done == list(range(100))


@in_virtual_time
async def test_a_job_that_is_cancelled_while_it_is_stopping_is_cancelled(here: Path) -> None:
    async with open_work(here, latency_ms=3000) as work:
        spec = work.chat([*words(3), "[[fault=401*1]] a"], concurrency=4, rpm=100_000)

        async def cancel() -> None:
            await asyncio.sleep(3.5)
            (report,) = await work.runner.jobs()
            await work.runner.cancel(report.job)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(cancel())
            ran = await work.run(spec)
        assert ran.report.exit_code in {1, 2}
        assert (await work.runner.status(ran.report.job)).status == JobState.CANCELLED


@in_virtual_time
async def test_a_second_run_of_the_same_job_refuses(here: Path) -> None:
    async with open_work(here, latency_ms=500, database="b.db") as work:
        spec = work.chat(work.write(list(words(9))))
        task = asyncio.create_task(work.run(spec))
        await asyncio.sleep(1)
        async with open_work(here, database="b.db") as other:
            with pytest.raises(JobInUse, match="is being run by process"):
                await other.run(spec, output="b.jsonl")
        assert (await task).done == list(range(9))


# --- room on the disk -----------------------------------------------------------------------------


@in_virtual_time
async def test_a_disk_that_gets_full_stops_a_run_while_what_is_in_flight_still_fits(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 1 << 40
    monkeypatch.setattr(SqliteDatabase, "room_bytes", lambda database: room)
    async with open_work(here, latency_ms=500, database="b.db") as work:
        spec = work.chat(list(words(100)), concurrency=4)

        async def fill() -> None:
            nonlocal room
            await asyncio.sleep(3)
            room = LEAST_ROOM_BYTES - 1

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fill())
            ran = await work.run(spec)

        assert (ran.report.exit_code, ran.report.status) == (1, "failed")
        assert "has 127 MB left" in (ran.report.reason or "")
        assert 0 < ran.report.rows_done < 100
        assert ran.report.rows_done == work.stats.requests_served
        assert ran.report.doubt_requests == 0

        sent = work.stats.requests_served
        assert (await work.run(spec)).report.rows_done == sent
        assert work.stats.requests_served == sent

        room = LEAST_ROOM_BYTES
        assert (await work.run(spec)).done == list(range(100))
        assert work.stats.requests_served == 100


# --- by itself ------------------------------------------------------------------------------------


@in_virtual_time
async def test_on_error_stop_ends_at_the_first_dead_letter(here: Path) -> None:
    async with open_work(here, latency_ms=100) as work:
        texts = [*words(5), "[[fault=400]] a", *words(60, marker="more"), "[[fault=400]] b"]
        spec = work.chat(texts, on_error="stop", concurrency=2)
        ran = await work.run(spec)

        assert (ran.report.exit_code, ran.report.status) == (3, "stopped")
        assert ran.report.rows_failed == 1
        assert ran.report.rows_left > 50
        again = await work.run(spec)
        assert again.report.exit_code == 3
        # The second is the last row: its run stops there, too, and the next finds nothing left.
        last = await work.run(spec)
        assert last.done == [row for row in range(67) if row not in (5, 66)]
        assert sorted(last.failed) == [5, 66]


@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_on_error_stop_ends_at_a_row_that_cannot_be_sent_too(here: Path, kind: str) -> None:
    """An empty or a malformed row, found in planning: one stop for each part of the plan."""
    async with open_work(here, latency_ms=100) as work:
        texts = [*words(2), "", *words(2_500, marker="more"), "", ""]
        make = work.chat if kind == "chat" else work.embed
        spec = make(work.write(texts), on_error="stop", concurrency=50)
        ran = await work.run(spec)

        assert (ran.report.exit_code, ran.report.status) == (3, "stopped")
        assert ran.report.rows_failed == 1
        assert ran.report.rows_done < 2_000
        again = await work.run(spec)
        assert (again.report.exit_code, again.report.status) == (3, "stopped")
        assert again.report.rows_failed == 3
        last = await work.run(spec)
        assert (last.report.exit_code, last.report.status) == (3, "complete")
        assert sorted(last.failed) == [2, 2503, 2504]
        assert len(last.done) == 2502
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_on_error_stop_pauses_a_submitted_job_at_a_row_that_cannot_be_sent(
    here: Path,
) -> None:
    async with open_work(here, database="b.db") as work:
        spec = work.chat(work.write([*words(2), "", *words(2_500, marker="more"), ""]))
        spec = dataclasses.replace(spec, on_error="stop")
        for failed in (1, 2):
            report = await work.runner.submit(spec)
            assert (report.exit_code, report.status) == (3, "stopped")
            assert report.reason == "stopped at a failed row"
            assert report.rows_failed == failed
            (job,) = await work.runner.jobs()
            assert (job.status, job.at_dead_letter) == ("paused", True)
        last = await work.runner.submit(spec)
        assert (last.exit_code, last.status) == (0, "open")
        assert work.stats.requests == 0


@in_virtual_time
async def test_bad_rows_are_skipped_where_that_is_asked_for(here: Path) -> None:
    async with open_work(here) as work:
        source = here / "bad.jsonl"
        lines = ['{"id": 1, "text": "a"}', "[1]", '{"id": 1, "text": "b"}', '{"id": 2}', "{"]
        lines += ['{"id": 3, "text": "c"}', '{"id": 4, "text": ["d"]}', '{"id": 5, "text": null}']
        source.write_text("\n".join(lines), encoding="utf-8")
        with pytest.raises(InputError):
            await work.run(work.embed(str(source)))
        assert work.stats.requests == 0
        assert not list(here.glob("out.*"))

        ran = await work.run(work.embed(str(source), on_bad_row="skip"))
        assert ran.done == [0, 5, 6]
        assert sorted(ran.failed) == [1, 2, 3, 4, 7]
        assert ran.failed[7] == ("empty_input", 0)
        assert all(attempts == 0 for _, attempts in ran.failed.values())


@pytest.mark.parametrize("back", [True, False])
@in_virtual_time
async def test_an_input_that_changes_between_check_and_plan_stops_the_job(
    here: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    """And nothing of it is ever taken for the input as it was, should that come back."""
    async with open_work(here, latency_ms=50) as work:
        texts = list(words(50))
        source = work.write(texts)
        spec = work.chat(source)
        original = Intake.check

        async def check_and_change(self: Any, *args: Any) -> Any:
            facts = await original(self, *args)
            work.write([text.upper() for text in texts])
            return facts

        with monkeypatch.context() as patch:
            patch.setattr(Intake, "check", check_and_change)
            with pytest.raises(InputError, match="changed") as caught:
                await work.run(spec)
        assert caught.value.exit_code == 2
        assert not list(here.glob("out.*"))

        if back:
            work.write(texts)
        sent = work.stats.inputs_served
        ran = await work.run(spec)
        assert ran.done == list(range(50))
        assert work.stats.inputs_served - sent == 50
        prompts = [record["output"] for record in ran.records]
        (here / "quiet").mkdir()
        async with open_work(here / "quiet") as quiet:
            expected = await quiet.run(quiet.chat(texts if back else [t.upper() for t in texts]))
        assert prompts == [record["output"] for record in expected.records]


@in_virtual_time
async def test_the_live_figures_add_up(here: Path) -> None:
    lives: list[RunStats] = []
    async with open_work(here, latency_ms=100) as work:
        spec = work.chat(MIXED, concurrency=6)
        report = await work.runner.run(spec, output=str(here / "out.jsonl"), on_live=lives.append)
        (live,) = lives
        assert live.rows_done == report.rows_done
        assert live.dead == report.rows_failed
        assert live.usage.prompt_tokens == work.stats.prompt_tokens
        assert live.rows_planned == live.rows == len(MIXED)
        assert repr(live) == "<Live exporting: 70 of 74 rows, 4 dead, 0 in flight, 0 rate limited>"


def test_exit_codes_of_errors() -> None:
    assert BatcherError.exit_code == 1
    assert InputError.exit_code == UsageError.exit_code == JobInUse.exit_code == 2
