"""A worker whose Redis comes after it: it waits for it, and refuses nothing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batcher.core.job.spec import JobSpec
from batcher.engine.job.report import Report
from batcher.engine.runner import Runner
from batcher.ports import Event
from batcher.settings import Settings
from batcher.simulator import SimulatorConfig, serve
from tests.fleet.harness import classifying, exported, fleet_of, tickets, undisturbed
from tests.servers.valkey import ValkeyServer
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.process

ROWS = 100


@pytest.fixture
def late(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey that is not running; its port is known."""
    directory = tmp_path / "valkey"
    directory.mkdir()
    server = ValkeyServer(directory)
    yield server
    server.stop()


async def submit(runner: Runner, spec: JobSpec) -> Report:
    return await runner.submit(spec)


async def ask(runner: Runner, spec: JobSpec) -> Report:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await runner.ask(spec)


@pytest.mark.parametrize("order", [submit, ask])
async def test_a_worker_that_starts_before_its_redis_serves_as_soon_as_that_is_there(
    tmp_path: Path,
    settings: Settings,
    late: ValkeyServer,
    order: Callable[[Runner, JobSpec], Awaitable[Report]],
) -> None:
    (tmp_path / "in.csv").write_text(tickets(ROWS))
    settings = replace(settings, redis_url=late.url)
    async with serve(SimulatorConfig(latency_ms=10)) as simulator:
        spec = classifying(tmp_path / "in.csv", simulator)
        calm = await undisturbed(spec, tmp_path / "calm.jsonl")
        simulator.reset()
        async with fleet_of((1,), tmp_path, settings, simulator) as (fleet, runner):
            report = await order(runner, spec)
            await fleet.told(Event.JOB_SERVED)
            await fleet.told(Event.QUEUE_LOST, 3)
            assert simulator.stats.requests == 0  # nothing is sent without a reservation

            await asyncio.to_thread(late.start)
            await fleet.completed(runner, report.job)
            await fleet.told(Event.QUEUE_FOUND)
            assert await exported(runner, report.job, tmp_path / "out.jsonl") == calm
            assert simulator.stats.inputs_served_twice == 0
            assert len(fleet.events(Event.JOB_SERVED)) == 1
            unwanted = (Event.JOB_REFUSED, Event.JOB_FAILED, Event.ERRAND_FAILED)
            assert [told for name in unwanted for told in fleet.events(name)] == []
            await fleet.stop(1)
