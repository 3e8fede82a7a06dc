"""A run may end at any moment; the next one goes on, and the output is the same to the byte."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import BatcherError, InputError, JobInUse, UsageError
from batcher.core.model import JobState
from batcher.core.spec import JobSpec
from batcher.engine.live import Live
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, read_lines, words

TEXTS = [*words(40), "", *words(3, marker="[[fault=400]]"), *words(30, marker="[[fault=500*1]]")]


def job_of(work: Work, kind: str, texts: list[str] | str = "", **settings: Any) -> JobSpec:
    given = texts or TEXTS
    if kind == "embed":
        return work.embed(given, max_inputs=3, concurrency=6, **settings)
    return work.chat(given, concurrency=6, **settings)


async def uninterrupted(here: Path, kind: str) -> tuple[bytes, bytes]:
    """The bytes of the output and of the errors of one quiet run."""
    (here / "quiet").mkdir()
    async with open_work(here / "quiet") as work:
        await work.run(job_of(work, kind))
    return files(here / "quiet")


def files(directory: Path) -> tuple[bytes, bytes]:
    output = directory / "out.jsonl"
    return output.read_bytes(), output.with_name("out.jsonl.errors.jsonl").read_bytes()


def audit(work: Work, report: Any) -> None:
    """What the books call possibly billed covers what the provider did twice."""
    stats = work.stats
    assert report.doubt_requests >= stats.requests_served_twice
    assert report.doubt_tokens >= stats.tokens_served_twice
    counted = report.prompt_tokens + report.completion_tokens + report.doubt_tokens
    assert counted >= stats.prompt_tokens + stats.completion_tokens


@pytest.mark.parametrize("kind", ["embed", "chat"])
@pytest.mark.parametrize("database", ["memory://", "state/b.db"])
@in_virtual_time
async def test_an_interrupted_run_settles_what_is_in_flight_and_the_next_one_goes_on(
    here: Path, kind: str, database: str
) -> None:
    expected = await uninterrupted(here, kind)
    async with open_work(here, latency_ms=300, database=database) as work:
        spec = job_of(work, kind)
        ends = []
        for answers in (1, 5, 9, 14, 20):

            async def stop_after(answers: int = answers) -> None:
                while work.stats.requests_served < answers:
                    await asyncio.sleep(0.05)
                assert work.runner.interrupt()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stop_after())
                ran = await work.run(spec)
            ends.append((ran.report.exit_code, ran.report.status))
            assert not (here / "out.jsonl").exists()
            assert ran.report.doubt_requests == 0

        assert ends == [(130, "interrupted")] * 5
        finished = await work.run(spec)
        assert finished.report.exit_code == 3
        assert files(here) == expected
        assert work.stats.inputs_served_twice == 0  # everything in flight was waited for
        audit(work, finished.report)


@pytest.mark.parametrize("kind", ["embed", "chat"])
@pytest.mark.parametrize("step", [3, 17])
@in_virtual_time
async def test_a_run_that_is_cancelled_anywhere_goes_on_where_it_was(
    here: Path, kind: str, step: int
) -> None:
    """Cancelled after ever more turns of the loop, so that every await is hit sooner or later."""
    expected = await uninterrupted(here, kind)
    turns, cancelled = 0, 0
    async with open_work(here, latency_ms=100, database="state/b.db") as work:
        spec = job_of(work, kind, work.write(TEXTS))
        while True:
            task = asyncio.create_task(work.run(spec))
            turns += step * (1 + cancelled // 8)
            for _ in range(turns):
                await asyncio.sleep(0)
                if task.done():
                    break
            if not task.done():
                await asyncio.sleep(0.02 * cancelled)
            if task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled += 1

        assert cancelled > 10
        assert (await task).report.exit_code == 3
        assert files(here) == expected
        audit(work, (await task).report)


@in_virtual_time
async def test_a_cancelled_run_leaves_no_lease_that_its_own_runner_must_wait_for(
    here: Path,
) -> None:
    async with open_work(here, latency_ms=1000, lease_seconds=300.0) as work:
        spec = work.chat(list(words(30)), concurrency=5)
        task = asyncio.create_task(work.run(spec))
        await asyncio.sleep(2.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        started = work.now()
        ran = await work.run(spec)

        assert ran.done == list(range(30))
        assert work.now() - started < 30


@in_virtual_time
async def test_a_shard_that_is_lost_to_another_owner_is_written_by_one_of_them(
    here: Path,
) -> None:
    async with open_work(here, latency_ms=200) as work:
        spec = work.chat(list(words(60)), concurrency=4)
        store = work.runner._adapters.store

        async def thief() -> None:
            await asyncio.sleep(1)
            (report,) = await work.runner.jobs()
            await store.reclaim(report.job, but_owner="thief")
            assert await store.claim(report.job, "thief", limit=9, ttl_seconds=20.0)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(thief())
            ran = await work.run(spec)

        assert ran.done == list(range(60))
        assert ran.report.rows_done == 60
        audit(work, ran.report)


# --- the same job again ---------------------------------------------------------------------------


@in_virtual_time
async def test_a_complete_job_sends_nothing_and_writes_what_is_missing(here: Path) -> None:
    async with open_work(here) as work:
        spec = job_of(work, "embed")
        first = await work.run(spec)
        sent = work.stats.requests
        again = await work.run(spec)

        assert again.report.sent_nothing
        assert again.records == first.records
        (here / "out.jsonl").unlink()
        assert (await work.run(spec)).records == first.records
        assert (await work.run(spec, output="other.jsonl")).records == first.records
        assert work.stats.requests == sent


@in_virtual_time
async def test_fresh_begins_anew(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.chat(list(words(5)))
        first = await work.run(spec)
        again = await work.run(spec, fresh=True)

        assert again.report.job != first.report.job
        assert again.records == first.records
        assert work.stats.requests == 10


@in_virtual_time
async def test_other_contents_options_or_rows_are_another_job(here: Path) -> None:
    async with open_work(here) as work:
        source = work.write(list(words(5)))
        specs = [
            work.chat(source),
            work.chat(source, limit=4),
            work.chat(source, max_tokens=9),
            work.chat(source, params={"seed": 1}),
            work.chat(source, model="gpt-4o"),
            work.chat(work.write([*words(4), "another"], "b.jsonl")),
        ]
        jobs = {(await work.run(spec)).report.job for spec in specs}
        assert len(jobs) == len(specs)
        same = work.chat(source, concurrency=3, rpm=9, timeout=5.0, api_key_env="PATH")
        assert (await work.run(same)).report.job in jobs


@in_virtual_time
async def test_limit_takes_the_first_rows(here: Path) -> None:
    async with open_work(here) as work:
        source = work.write(list(words(50)))
        ran = await work.run(work.embed(source, limit=7))
        assert ran.done == list(range(7))
        assert (ran.report.rows, work.stats.inputs_served) == (7, 7)
        assert (await work.run(work.embed(source, limit=99))).done == list(range(50))


@in_virtual_time
async def test_dead_letters_are_retried_once_the_fault_is_gone(here: Path) -> None:
    async with open_work(here) as work:
        texts = [*words(6), "[[fault=400*1]] a", "", "[[fault=400*2]] b"]
        spec = work.embed(texts, max_inputs=1)
        ran = await work.run(spec)
        assert sorted(ran.failed) == [6, 7, 8]

        report, reopened = await work.runner.retry(ran.report.job)
        assert reopened == 2
        assert report.status == JobState.OPEN
        again = await work.run(spec)
        assert again.done == [0, 1, 2, 3, 4, 5, 6]
        assert again.failed == {7: ("empty_input", 0), 8: ("invalid_value", 1)}
        assert again.report.rows_done == 7

        await work.runner.retry(ran.report.job)
        last = await work.run(spec)
        assert last.failed == {7: ("empty_input", 0)}
        assert last.done == [0, 1, 2, 3, 4, 5, 6, 8]
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_a_retry_of_nothing_but_empty_rows_leaves_the_job_complete(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.embed([*words(2), ""])
        ran = await work.run(spec)
        report, reopened = await work.runner.retry(ran.report.job)
        assert (report.status, reopened) == (JobState.COMPLETE, 0)


@in_virtual_time
async def test_stale_errors_are_removed(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.embed([*words(2), "[[fault=400*1]] a"], max_inputs=1)
        ran = await work.run(spec)
        assert ran.report.errors is not None
        assert len(ran.errors) == 1
        await work.runner.retry(ran.report.job)
        again = await work.run(spec)
        assert again.report.errors is None
        assert not (here / "out.jsonl.errors.jsonl").exists()
        assert again.manifest is not None
        assert again.manifest["rows"] == {"total": 3, "done": 3, "failed": 0}


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

        assert (ran.report.exit_code, ran.report.status) == (130, "cancelled")
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
        assert ran.report.exit_code in {2, 130}
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


# --- stops ----------------------------------------------------------------------------------------


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
        assert ran.done == [0, 5]
        assert sorted(ran.failed) == [1, 2, 3, 4, 6, 7]
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
        original = type(work.runner)._check

        async def check_and_change(self: Any, *args: Any) -> Any:
            facts = await original(self, *args)
            work.write([text.upper() for text in texts])
            return facts

        with monkeypatch.context() as patch:
            patch.setattr(type(work.runner), "_check", check_and_change)
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
    lives: list[Live] = []
    async with open_work(here, latency_ms=100) as work:
        spec = job_of(work, "chat")
        report = await work.runner.run(spec, output=str(here / "out.jsonl"), on_live=lives.append)
        (live,) = lives
        assert live.rows_done == report.rows_done
        assert live.dead == report.rows_failed
        assert live.usage.prompt_tokens == work.stats.prompt_tokens
        assert live.rows_planned == live.rows == len(TEXTS)
        assert repr(live) == "<Live exporting: 70 of 74 rows, 4 dead, 0 in flight, 0 rate limited>"


def test_exit_codes_of_errors() -> None:
    assert BatcherError.exit_code == 1
    assert InputError.exit_code == UsageError.exit_code == JobInUse.exit_code == 2
