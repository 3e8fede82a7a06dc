"""What workers log and count: every event with its ids, figures that agree, and no content."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from prometheus_client.parser import text_string_to_metric_families

from batcher.adapters.observability.event_log import EventLog
from batcher.adapters.observability.exposition import expose
from batcher.core.model import JobEvent
from batcher.engine.fleet.worker import FleetWorker
from batcher.engine.telemetry.run_stats import RunStats
from batcher.ports import Event, Fact, Level, Log
from batcher.settings import Settings
from batcher.wiring import open_fleet
from tests.engine.fleet.crew import Events, completed
from tests.engine.virtual_time import LoopClock, in_virtual_time
from tests.engine.workbench import CANARY_KEY, CHATTER, open_work, words

CANARY_ROW = "canary row of nobody else"
KIND = {"kind": "chat", "model": CHATTER}
FAULTS = [
    "401_echo", "400", "500", "refusal", "hang", "disconnect", "garbage", "422_vllm", "429",
    "429_quota", "413",
]  # fmt: skip


@asynccontextmanager
async def worker(
    database: str, log: Log, *, lease_seconds: float = 30.0
) -> AsyncIterator[FleetWorker]:
    settings = Settings(database_url=database, lease_seconds=lease_seconds)
    async with (
        open_fleet(settings, log=log, clock=LoopClock(), chance=Random(3)) as fleet,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(fleet.run())
        try:
            yield fleet
        finally:
            fleet.stop()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/batcher.db"


class Metrics:
    """What ``/metrics`` says, read by Prometheus's own parser."""

    def __init__(self, fleet: FleetWorker) -> None:
        self.text = expose(fleet.families())
        self._samples = [
            sample
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        ]

    def __call__(self, name: str, **labels: str) -> float:
        (value,) = [
            sample.value
            for sample in self._samples
            if sample.name == f"batcher_{name}" and labels.items() <= sample.labels.items()
        ]
        return value


@in_virtual_time
async def test_the_metrics_agree_with_the_report(tmp_path: Path, database: str) -> None:
    texts = [*words(40), *words(3, marker="[[fault=400]]"), *words(20, marker="[[fault=500*1]]")]
    async with open_work(tmp_path, database=database, latency_ms=200) as work:
        async with worker(database, Events()) as fleet:
            report = (await work.runner.submit(work.chat(texts))).job
            ran = await completed(work, report)
            while fleet.serving or fleet.telemetry.meters.idle_since:  # as of the last beat
                await asyncio.sleep(1)
            metrics = Metrics(fleet)
        told = ran.report
        assert metrics("rows_total", result="done", **KIND) == told.rows_done == 60
        assert metrics("rows_total", result="dead", **KIND) == told.rows_failed == 3
        assert metrics("requests_total", outcome="ok", **KIND) == 60
        assert metrics("requests_total", outcome="refused", **KIND) == 3
        assert metrics("requests_total", outcome="server_error", **KIND) == 20
        assert metrics("retries_total", **KIND) == 20
        assert metrics("tokens_total", type="prompt", **KIND) == told.prompt_tokens
        assert metrics("tokens_total", type="completion", **KIND) == told.completion_tokens
        assert metrics("cost_dollars_total", **KIND) == pytest.approx(float(told.cost_usd or 0))
        assert metrics("request_seconds_count", **KIND) == work.stats.requests == 83
        assert metrics("request_seconds_bucket", le="0.1", **KIND) == 23
        assert metrics("request_seconds_bucket", le="+Inf", **KIND) == 83
        assert metrics("checkpoint_seconds_count", **KIND) > 0
        assert metrics("jobs_served_total", **KIND) == 1
        assert metrics("jobs_left_total", status="complete", **KIND) == 1
        assert (metrics("jobs_serving"), metrics("queue_age_seconds")) == (0, 0)


@in_virtual_time
async def test_a_job_at_work_shows_its_limit_and_what_is_in_flight(
    tmp_path: Path, database: str
) -> None:
    async with (
        open_work(tmp_path, database=database, latency_ms=5_000, rpm=600) as work,
        worker(database, Events()) as fleet,
    ):
        report = await work.runner.submit(work.chat(list(words(3_000)), concurrency=30))
        await asyncio.sleep(60)
        metrics = Metrics(fleet)
        assert metrics("requests_in_flight", job=report.job, **KIND) == 30
        assert metrics("window", job=report.job) == 30
        assert metrics("limit_requests_per_minute", job=report.job) == 600
        assert 0.5 < metrics("limit_requests_used_ratio", job=report.job) <= 1
        assert metrics("rows", job=report.job) == 3_000
        assert metrics("jobs_serving") == 1
        await work.runner.cancel(report.job)


@in_virtual_time
async def test_waits_for_the_throttle_and_pauses_are_counted_and_told(
    tmp_path: Path, database: str
) -> None:
    events = Events()
    async with open_work(tmp_path, database=database, latency_ms=100) as work:
        async with worker(database, events) as fleet:
            texts = [*words(300), "[[fault=429*1]] x", *words(100)]
            ran = await completed(work, (await work.runner.submit(work.chat(texts, rpm=600))).job)
            metrics = Metrics(fleet)
        (paused,) = events.of(Event.THROTTLE_PAUSED)
        assert float(paused["seconds"] or 0) > 0
        assert paused["job"] == ran.report.job
        assert metrics("pauses_total") == 1
        assert metrics("pause_seconds_total") == pytest.approx(paused["seconds"], abs=0.001)
        assert metrics("throttle_waits_total") > 100
        assert metrics("throttle_wait_seconds_total") > 10
        assert metrics("requests_total", outcome="rate_limited") == 1


@in_virtual_time
async def test_an_outage_is_told_once_when_it_begins_and_once_when_it_is_over(
    tmp_path: Path, database: str
) -> None:
    events = Events()
    async with open_work(tmp_path, database=database, latency_ms=100) as work:
        async with worker(database, events) as fleet:
            report = await work.runner.submit(work.chat(list(words(600)), concurrency=4, rpm=600))
            await asyncio.sleep(10)
            work.simulator.configure(outage="503")
            await asyncio.sleep(120)
            assert Metrics(fleet)("outage", job=report.job) == 1
            work.simulator.configure(outage=None)
            await completed(work, report.job)
        assert events.of(Event.OUTAGE_BEGUN) == [{"job": report.job}]
        assert events.of(Event.OUTAGE_OVER) == [{"job": report.job}]


@in_virtual_time
async def test_a_lost_lease_is_told_with_its_shard(tmp_path: Path, database: str) -> None:
    events = Events()
    async with open_work(tmp_path, database=database, latency_ms=2_000) as work:
        async with worker(database, events) as fleet:
            report = await work.runner.submit(work.chat(list(words(400)), concurrency=5))
            await asyncio.sleep(10)
            store = fleet.services.store
            await store.reclaim(report.job, except_owner="somebody else")
            await store.leave(fleet.card.name)
            await store.reclaim(report.job, except_owner="somebody else")
            (taken,) = await store.claim(report.job, "somebody else", limit=1, ttl_seconds=60)
            await asyncio.sleep(20)
            metrics = Metrics(fleet)
            await work.runner.cancel(report.job)
        told = events.of(Event.LEASE_LOST)
        assert {"job": report.job, "shard": taken.ordinal} in told
        assert metrics("leases_lost_total") == len(told)


@in_virtual_time
async def test_a_short_budget_is_told(tmp_path: Path, database: str) -> None:
    events = Events()
    async with open_work(tmp_path, database=database, latency_ms=1_000) as work:
        spec = work.chat(
            list(words(500)), concurrency=10, price="1,1", max_cost=Decimal("0.004"), max_tokens=16
        )
        async with worker(database, events):
            report = await work.runner.submit(spec)
            await completed(work, report.job)
        assert {facts["job"] for facts in events.of(Event.BUDGET_SHORT)} == {report.job}
        assert [facts["status"] for facts in events.of(Event.JOB_LEFT)] == ["over_budget"]


@in_virtual_time
async def test_a_slow_checkpoint_is_told(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Events()
    monkeypatch.setattr("batcher.engine.telemetry.run_telemetry.SLOW_SECONDS", -1.0)
    async with open_work(tmp_path, database=database) as work:
        async with worker(database, events):
            await completed(work, (await work.runner.submit(work.chat(["a"]))).job)
        assert all(facts["shards"] in (0, 1) for facts in events.of(Event.CHECKPOINT_SLOW))
        assert events.of(Event.CHECKPOINT_SLOW)


@in_virtual_time
async def test_a_job_that_nobody_serves_ages(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(tmp_path, database=database) as work:
        monkeypatch.setenv("THEIR_SECRET", "s3cret")
        spec = work.chat(["a"], headers={"Authorization": "Bearer $THEIR_SECRET"})
        report = await work.runner.submit(spec)
        monkeypatch.delenv("THEIR_SECRET")
        await asyncio.sleep(100)
        async with worker(database, Events()) as fleet:
            await asyncio.sleep(50)
            metrics = Metrics(fleet)
            assert 140 <= metrics("queue_age_seconds") <= 160
            assert metrics("queue_jobs") == 1
            await fleet.services.store.move(report.job, JobEvent.CANCEL)
            await asyncio.sleep(15)
            assert Metrics(fleet)("queue_age_seconds") == 0


@in_virtual_time
async def test_a_dead_row_can_be_followed_to_its_request(tmp_path: Path, database: str) -> None:
    events = Events()
    async with open_work(tmp_path, database=database) as work:
        async with worker(database, events):
            texts = [*words(5), "[[fault=400]] bad"]
            ran = await completed(work, (await work.runner.submit(work.chat(texts))).job)
        (dead,) = events.of(Event.ROW_DEAD)
        (failed,) = events.of(Event.REQUEST_FAILED)
        assert dead["row"] == 5
        assert (dead["job"], dead["code"]) == (ran.report.job, ran.errors[0]["code"])
        assert dead["request"] == failed["request"]
        assert re.fullmatch(rf"batcher-{ran.report.job}-[0-9a-f]{{8}}-\d+", str(dead["request"]))
        assert dead["answer"] == failed["answer"]
        assert failed["outcome"] == "refused"


@in_virtual_time
async def test_no_two_requests_have_the_same_id(tmp_path: Path, database: str) -> None:
    seen: list[Fact] = []

    def log(event: Event, /, **facts: Fact) -> None:
        if event is Event.REQUEST_FAILED:
            seen.append(facts["request"])

    async with open_work(tmp_path, database=database, latency_ms=500) as work:
        texts = list(words(60, marker="[[fault=500*2]]"))
        async with worker(database, log), worker(database, log):
            await completed(work, (await work.runner.submit(work.chat(texts))).job)
    assert len(seen) == len(set(seen)) >= 120


@pytest.mark.parametrize("fault", FAULTS)
@in_virtual_time
async def test_neither_log_nor_metrics_hold_key_row_prompt_or_message(
    here: Path, database: str, fault: str
) -> None:
    written = StringIO()
    log = EventLog(Level.DEBUG, stream=written)
    async with (
        open_work(here, database=database, latency_ms=100) as work,
        worker(database, log) as fleet,
    ):
        texts = [f"{CANARY_ROW} [[fault={fault}*7]]", *words(40)]
        spec = work.chat(texts, timeout=1.0, outage_timeout=100.0)
        work.path("prompt.txt").write_text("canary prompt: {{ text }}")
        job = (await work.runner.submit(spec)).job
        while (await work.runner.status(job)).status == "open":
            await asyncio.sleep(1)
        shown = expose(fleet.families())
    told = written.getvalue()
    for text in (told, shown):
        assert "canary" not in text
        assert CANARY_KEY not in text
        assert "text number" not in text
    for line in told.splitlines():
        record = json.loads(line)
        assert record["event"] in set(Event)
        assert set(record) <= {
            "time", "level", "event", "worker", "version", "jobs", "job", "kind", "model", "status",
            "rows_done", "rows_dead", "requests", "request", "answer", "outcome", "rows", "seconds",
            "row", "code", "shards", "shard",
        }  # fmt: skip


@in_virtual_time
async def test_the_live_figures_agree_with_the_report(tmp_path: Path, database: str) -> None:
    texts = [*words(40), *words(3, marker="[[fault=400]]"), *words(20, marker="[[fault=500*1]]")]
    seen: list[RunStats] = []
    async with open_work(tmp_path, database=database, latency_ms=200) as work:
        report = await work.runner.run(work.chat(texts), on_live=seen.append)
    (live,) = seen
    assert live.usage.requests == report.requests == 40 + 3 + 2 * 20
    assert live.usage.prompt_tokens == report.prompt_tokens
    assert (live.rows_done, live.dead) == (report.rows_done, report.rows_failed)
    assert live.last_fault in {"HTTP 400", "HTTP 500"}


@in_virtual_time
async def test_a_provider_that_is_not_there_is_said_to_be_not_there(
    tmp_path: Path, database: str
) -> None:
    seen: list[RunStats] = []
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(3)), base_url="http://127.0.0.1:9/v1", outage_timeout=60.0)
        report = await work.runner.run(spec, on_live=seen.append)
    assert report.exit_code == 5
    assert seen[0].last_fault.startswith("no connection to 127.0.0.1:")
