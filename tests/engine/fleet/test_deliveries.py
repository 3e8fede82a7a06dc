"""Jobs that workers deliver: once each, to the end, whatever fails meanwhile. In virtual time."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import JobInUse, UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.engine.job.delivery_report import DeliveryReport
from batcher.engine.job.report import Report
from batcher.engine.telemetry.run_stats import RunStats
from batcher.ports import Event
from tests.engine.fleet.crew import Events, worker
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, read_lines, words

TENTHS = "5-55/10 * * * *"
"""Virtual time begins at half past ten in the evening of 14 November 2023, in UTC."""


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/batcher.db"


def to(work: Work, name: str, **more: Any) -> DeliverySpec:
    return DeliverySpec(output=str(work.path(name)), **more)


def unheard(live: RunStats) -> None:
    """Nobody watches."""


async def watched(work: Work, job: str) -> Report:
    """The job's report when `batcher watch` would end."""
    return await work.runner.watch(job, on_live=unheard)


def delivery_of(report: Report) -> DeliveryReport:
    assert report.delivery is not None
    return report.delivery


@in_virtual_time
async def test_a_submitted_job_is_delivered_by_whoever_completes_it(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        texts = [*words(40), "[[fault=400]] refused"]
        report = await work.runner.submit(work.chat(texts), delivery=to(work, "out.jsonl"))
        assert delivery_of(report).status == "waiting"
        events = Events()
        async with worker(database, events), worker(database, events):
            report = await watched(work, report.job)
        ran = work.read(report)
        assert ran.done == list(range(40))
        assert [error["row"] for error in ran.errors] == [40]
        assert report.exit_code == 3
        assert ran.manifest == report.manifest()
        assert delivery_of(report).status == "delivered"
        names = ["out.jsonl", "out.jsonl.errors.jsonl", "out.jsonl.manifest.json"]
        assert delivery_of(report).files == tuple(str(work.path(name)) for name in names)
        assert report.last_output == str(work.path("out.jsonl"))
        assert events.of(Event.JOB_DELIVERED) == [{"job": report.job, "attempt": 1}]
        assert not list(tmp_path.glob("*.part-*"))


@in_virtual_time
async def test_what_a_worker_opens_itself_is_delivered_to_a_place_called_after_it(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(5)), name="a/b: ü..")
        async with worker(database):
            asked = await work.runner.ask(spec, delivery=to(work, "{name}+{job}+{date}+{x}.csv"))
            report = await watched(work, asked.job)
        expected = f"a_b__ü..+{report.job}+2023-11-14+{{x}}.csv"
        assert delivery_of(report).output == str(work.path(expected))
        assert work.path(expected).exists()


@in_virtual_time
async def test_each_night_of_a_schedule_is_delivered_under_its_day_in_its_zone(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(3)))
        schedules, where = work.runner.schedules, to(work, "{name}-{date}.jsonl")
        await schedules.add("late", "35 22 * * *", spec, delivery=where)
        await schedules.add("early", "35 7 * * *", spec, timezone="Asia/Tokyo", delivery=where)
        async with worker(database):
            await asyncio.sleep(6 * 60)
        names = sorted(path.name for path in tmp_path.glob("*-2023-*.jsonl"))
        assert names == ["early-2023-11-15.jsonl", "late-2023-11-14.jsonl"]
        (_, late) = await schedules.all()
        assert late.to_json()["output"] == str(work.path("{name}-{date}.jsonl"))


@in_virtual_time
async def test_a_schedule_with_a_fixed_output_replaces_that_of_the_run_before(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        source = work.write(["one"])
        where = to(work, "nightly.jsonl")
        await work.runner.schedules.add("nightly", TENTHS, work.chat(source), delivery=where)
        async with worker(database):
            await asyncio.sleep(9 * 60)
            first = work.path("nightly.jsonl.manifest.json").read_bytes()
            work.write(["another", "and one more"])
            await asyncio.sleep(10 * 60)
        reports = await work.runner.jobs()
        assert [delivery_of(report).status for report in reports] == ["delivered"] * 2
        assert len(read_lines(work.path("nightly.jsonl"))) == 2
        second = json.loads(work.path("nightly.jsonl.manifest.json").read_bytes())
        assert second["job"] == reports[0].job != json.loads(first)["job"]


@in_virtual_time
async def test_nobody_s_other_file_is_replaced_and_that_is_told_and_tried_again(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        taken = work.path("taken.jsonl")
        taken.write_text("somebody's\n")
        spec, events = work.chat(list(words(5))), Events()
        async with worker(database, events) as fleet:
            submitted = await work.runner.submit(spec, delivery=to(work, "taken.jsonl"))
            report = await watched(work, submitted.job)
            assert (report.status, report.exit_code) == ("complete", 2)
            delivery = delivery_of(report)
            assert (delivery.status, delivery.attempts) == ("failed", 1)
            assert delivery.cause is not None
            assert delivery.cause.startswith(f"{taken} already exists and has no manifest")
            assert delivery.next_at is not None
            await asyncio.sleep(120)
            again = await work.runner.status(report.job)
            assert delivery_of(again).attempts > 2
            assert taken.read_text() == "somebody's\n"
            assert not list(tmp_path.glob("taken.jsonl.*"))
            samples = {family.name: family.samples for family in fleet.families()}
            assert [s.value for s in samples["batcher_deliveries_failing"]] == [1]
            tried = {s.labels["outcome"]: s.value for s in samples["batcher_deliveries_total"]}
            assert tried == {"delivered": 0, "failed": delivery_of(again).attempts}

            taken.unlink()
            await asyncio.sleep(400)
            assert delivery_of(await work.runner.status(report.job)).status == "delivered"
            assert len(read_lines(taken)) == 5
        failed = events.of(Event.DELIVERY_FAILED)
        assert {facts["error"] for facts in failed} == {"OutputTaken"}
        assert str(taken) not in str(failed)


@in_virtual_time
async def test_another_submission_of_the_same_has_it_tried_at_once_and_may_move_it(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec, folder = work.chat(list(words(5))), work.path("later")
        async with worker(database):
            first = await work.runner.submit(spec, delivery=to(work, "later/out.jsonl"))
            await asyncio.sleep(600)
            failed = delivery_of(await work.runner.status(first.job))
            assert failed.cause is not None
            assert "there is no directory" in failed.cause
            folder.mkdir()
            again = await work.runner.submit(spec, delivery=to(work, "later/out.jsonl"))
            assert again.job == first.job
            assert delivery_of(again).status == "waiting"
            began = work.now()
            assert (await watched(work, first.job)).exit_code == 0
            assert work.now() - began < 10
            shutil.rmtree(folder)

            moved = await work.runner.submit(spec, delivery=to(work, "out.csv"))
            assert delivery_of(moved).status == "waiting"
            report = await watched(work, first.job)
            assert delivery_of(report).output == str(work.path("out.csv"))
            assert work.path("out.csv").exists()
            assert not folder.exists()


@in_virtual_time
async def test_what_a_retry_mends_is_delivered_again(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        texts = [*words(4), "[[fault=500*30]] refused for a while"]
        async with worker(database):
            report = await work.runner.submit(work.chat(texts), delivery=to(work, "out.jsonl"))
            report = await watched(work, report.job)
            before = work.read(report)
            assert (before.done, len(before.errors)) == ([0, 1, 2, 3], 1)
            for _ in range(6):
                await work.runner.retry(report.job)
                report = await watched(work, report.job)
                if not report.rows_failed:
                    break
        after = work.read(report)
        assert after.done == [0, 1, 2, 3, 4]
        assert after.errors == []
        assert after.manifest == report.manifest()
        assert delivery_of(report).status == "delivered"


@in_virtual_time
async def test_a_run_that_completes_a_submitted_job_delivers_it(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(5)))
        submitted = await work.runner.submit(spec, delivery=to(work, "out.jsonl"))
        report = await work.runner.run(spec)
        assert report.job == submitted.job
        assert delivery_of(report).status == "delivered"
        assert work.read(report).done == list(range(5))


@in_virtual_time
async def test_a_run_whose_delivery_fails_ends_with_its_exit_code(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(5)))
        await work.runner.submit(spec, delivery=to(work, "nowhere/out.jsonl"))
        report = await work.runner.run(spec)
        assert (report.status, report.exit_code) == ("complete", 2)


@pytest.mark.parametrize(
    ("output", "more", "said"),
    [
        ("-", {}, "no standard output"),
        ("out.xyz", {}, "does not tell the format"),
        ("out.npy", {}, "holds only vectors"),
        ("s3://bucket/out.csv", {}, r"no destination for s3:// is installed here.*\.csv"),
        ("{name}.csv", {}, "the job has no name"),
        ("out.csv", {"format": "xlsx"}, "no output format 'xlsx'"),
    ],
)
@in_virtual_time
async def test_a_place_that_no_worker_could_write_to_is_refused_and_nothing_is_kept(
    tmp_path: Path, database: str, output: str, more: dict[str, Any], said: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec, where = work.chat(list(words(2))), DeliverySpec(output=output, **more)
        for refused in (
            work.runner.submit(spec, delivery=where),
            work.runner.ask(spec, delivery=where),
        ):
            with pytest.raises(UsageError, match=said):
                await refused
        assert await work.runner.jobs() == []


@in_virtual_time
async def test_a_place_that_is_not_here_is_for_workers_to_judge(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        where = DeliverySpec(output="/nowhere/at all/out.csv")
        report = await work.runner.submit(work.chat(list(words(2))), delivery=where)
        assert delivery_of(report).status == "waiting"


@in_virtual_time
async def test_neither_what_the_job_reads_nor_the_database_is_ever_replaced(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(3)))
        before = work.path("in.jsonl").read_bytes()
        async with worker(database):
            for name in ("in.jsonl", "batcher.db"):
                where = to(work, name, format="jsonl", overwrite=True)
                report = await work.runner.submit(spec, delivery=where, fresh=True)
                report = await watched(work, report.job)
                assert report.exit_code == 2
                assert "name another output" in str(delivery_of(report).cause)
        assert work.path("in.jsonl").read_bytes() == before


@in_virtual_time
async def test_a_job_is_not_deleted_before_it_is_delivered(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(3)))
        async with worker(database):
            report = await work.runner.submit(spec, delivery=to(work, "later/out.jsonl"))
            report = await watched(work, report.job)
            await asyncio.sleep(60)
            assert await work.runner.purge(0) == []
            work.path("later").mkdir()
            await asyncio.sleep(200)
            assert await work.runner.purge(0) == [report.job]


@in_virtual_time
async def test_a_job_that_is_being_delivered_is_not_removed(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(3)))
        report = await work.runner.run(spec)
        await work.runner.submit(spec, delivery=to(work, "out.jsonl"))
        store = work.runner._services.store
        assert await store.claim_delivery(report.job, "somebody", 30) is not None
        with pytest.raises(JobInUse, match="being delivered"):
            await work.runner.remove(report.job)


@in_virtual_time
async def test_a_worker_that_may_not_write_there_leaves_it_to_one_that_may(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(3)))
        report = await work.runner.run(spec)
        events, allowed = Events(), tmp_path / "allowed"
        allowed.mkdir()
        (allowed / "link").symlink_to(tmp_path)
        async with worker(database, events, allow_destination=(str(allowed),)):
            where = to(work, "allowed/link/out.jsonl")
            await work.runner.submit(spec, delivery=where)
            await asyncio.sleep(50)
            told = delivery_of(await work.runner.status(report.job))
            assert (told.status, told.attempts) == ("waiting", 0)
            assert told.cause is not None
            assert told.cause.startswith(f"this worker may not write {where.output}")
            assert not list(tmp_path.glob("out*"))
            async with worker(database, events):
                watching = await watched(work, report.job)
        assert delivery_of(watching).status == "delivered"
        assert [facts["job"] for facts in events.of(Event.JOB_REFUSED)] == [report.job]
        assert len(read_lines(work.path("out.jsonl"))) == 3
