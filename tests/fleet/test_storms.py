"""Whatever becomes of workers, of Redis and of Postgres: every row once, and everything admitted.

The faults are markers in the texts, so that the undisturbed run and the ill-treated fleet meet the
same ones; the provider is in this process and outlives everything.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batcher.core.job.spec import JobSpec
from batcher.engine.job.report import Report
from batcher.engine.runner import Runner
from batcher.ports import Event
from batcher.settings import Settings
from batcher.simulator import Simulator, SimulatorConfig, serve
from tests.fleet.harness import LEASE_SECONDS, Fleet, classifying, exported, fleet_of, undisturbed
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.process

WORKERS = (1, 2, 3, 4)
CONCURRENCY = 8
LATENCY_MS = 100
SLOW_MS = 2_000
FAULTS = {
    3: "[[fault=400]]",
    40: "[[fault=500*2]]",
    90: "[[fault=429*1]]",
    333: "[[fault=garbage*1]]",
    500: "[[fault=503*1]]",
    1_111: "[[fault=400]]",
}
# What one worker can send within a checkpoint's interval, and one more.
INTERVAL = math.ceil(0.25 * CONCURRENCY / (LATENCY_MS / 2_000)) + 1


def write_input(path: Path, rows: int) -> str:
    """Rows with an empty one among them."""
    texts = ("" if row == 77 else f"ticket {row} {FAULTS.get(row, '')}" for row in range(rows))
    path.write_text("id,body\n" + "".join(f"T{i},{text}\n" for i, text in enumerate(texts)))
    return str(path)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    config = SimulatorConfig(latency_ms=LATENCY_MS, latency_spread=0.5)
    async with serve(config) as running:
        yield running


class Storm:
    """One job on a fleet, and what it has to come to."""

    def __init__(
        self, fleet: Fleet, runner: Runner, spec: JobSpec, calm: Any, calm_twice: int
    ) -> None:
        self.fleet = fleet
        self.runner = runner
        self.spec = spec
        self.calm = calm
        self.calm_twice = calm_twice

    @property
    def simulator(self) -> Simulator:
        return self.fleet.simulator

    async def over(self, job: str, *, losses: int = 0) -> Report:
        """Wait for the job's end, and compare what it made with what it should.

        ``losses`` counts how often a worker may have lost its leases without being killed, besides
        what the workers say of themselves: on a busy machine one may sleep through a lease.
        """
        report = await self.fleet.completed(self.runner, job)
        assert report.status == "complete", report.reason
        made = await exported(self.runner, job, self.fleet.directory / "out.jsonl")
        assert made == self.calm
        stats = self.simulator.stats.snapshot()
        assert report.doubt_inputs >= stats["inputs_served_twice"]
        ends = self.fleet.kills + losses + len(self.fleet.events(Event.LEASE_LOST))
        assert report.doubt_requests <= ends * (CONCURRENCY + INTERVAL) + 10
        return report

    def served_twice_at_most(self) -> int:
        """How many inputs may be, where no worker was killed: those of leases slept through."""
        slept = len(self.fleet.events(Event.LEASE_LOST))
        return self.calm_twice + slept * (CONCURRENCY + INTERVAL)


@asynccontextmanager
async def storm(
    tmp_path: Path, settings: Settings, simulator: Simulator, *, rows: int, **more: Any
) -> AsyncIterator[Storm]:
    """Four workers, and a job of so many rows that is not yet submitted."""
    source = write_input(tmp_path / "in.csv", rows)
    spec = classifying(source, simulator, concurrency=CONCURRENCY, **more)
    calm = await undisturbed(replace(spec, max_cost=None, concurrency=200), tmp_path / "calm.jsonl")
    calm_twice = simulator.stats.inputs_served_twice  # an answer that was garbage
    simulator.reset()
    async with fleet_of(WORKERS, tmp_path, settings, simulator) as (fleet, runner):
        yield Storm(fleet, runner, spec, calm, calm_twice)


async def test_workers_killed_twenty_times(
    tmp_path: Path, settings: Settings, simulator: Simulator
) -> None:
    chance = random.Random(5)
    async with storm(tmp_path, settings, simulator, rows=4_000) as it:
        report = await it.runner.submit(it.spec)
        while it.fleet.kills < 20:
            await it.fleet.sent(chance.randint(20, 150))
            number = chance.choice(WORKERS)
            await it.fleet.kill(number)
            await it.fleet.start(number)
        assert (await it.runner.status(report.job)).status == "open"
        await it.over(report.job)


@pytest.mark.parametrize("keep_data", [True, False])
async def test_valkey_killed_and_restarted(
    tmp_path: Path, settings: Settings, simulator: Simulator, valkey: ValkeyServer, keep_data: bool
) -> None:
    async with storm(tmp_path, settings, simulator, rows=2_000) as it:
        report = await it.runner.submit(it.spec)
        for _ in range(2):
            await it.fleet.sent(200)
            await asyncio.to_thread(valkey.kill)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(valkey.start, keep_data=keep_data)
        await it.over(report.job)
        assert it.simulator.stats.inputs_served_twice <= it.served_twice_at_most()
        assert all(process.returncode is None for process in it.fleet.workers.values())


async def test_postgres_stopped_and_started(
    tmp_path: Path, settings: Settings, simulator: Simulator, postgres: PostgresServer
) -> None:
    async with storm(tmp_path, settings, simulator, rows=2_000) as it:
        report = await it.runner.submit(it.spec)
        for end in (postgres.stop, postgres.kill):
            await it.fleet.sent(200)
            await asyncio.to_thread(end)
            await asyncio.sleep(1.5 * LEASE_SECONDS)
            await asyncio.to_thread(postgres.start)
        await it.over(report.job, losses=2 * len(WORKERS))
        assert all(process.returncode is None for process in it.fleet.workers.values())


async def test_rolling_restarts_more_often_than_arq_tries(
    tmp_path: Path, settings: Settings, simulator: Simulator
) -> None:
    async with storm(tmp_path, settings, simulator, rows=3_000) as it:
        report = await it.runner.submit(it.spec)
        for turn in range(8):
            await it.fleet.sent(100)
            number = WORKERS[turn % len(WORKERS)]
            simulator.configure(latency_ms=SLOW_MS)  # the others must not end the job meanwhile
            await it.fleet.stop(number)
            simulator.configure(latency_ms=LATENCY_MS)
            await it.fleet.start(number)
        report = await it.over(report.job)
        assert it.simulator.stats.inputs_served_twice <= it.served_twice_at_most()


async def test_a_budget_holds_across_workers_and_kills(
    tmp_path: Path, settings: Settings, simulator: Simulator
) -> None:
    chance = random.Random(6)
    budget = Decimal("0.02")
    more = {"max_cost": budget, "price": "0.5,0.5"}
    async with storm(tmp_path, settings, simulator, rows=2_000, **more) as it:
        options = {**it.spec.options, "max_tokens": 16}
        report = await it.runner.submit(replace(it.spec, options=options))
        while it.fleet.kills < 4:
            await it.fleet.sent(chance.randint(20, 60))
            number = chance.choice(WORKERS)
            await it.fleet.kill(number)
            await it.fleet.start(number)
        report = await it.fleet.completed(it.runner, report.job)
        assert report.status == "paused"
        assert report.cost_usd is not None
        assert report.doubt_cost_usd is not None
        stats = it.simulator.stats
        spent = Decimal(stats.prompt_tokens + stats.completion_tokens) / 2_000_000
        one = Decimal(100 + 16) / 2_000_000
        assert budget * Decimal("0.95") <= report.cost_usd + report.doubt_cost_usd
        assert spent <= report.cost_usd + report.doubt_cost_usd
        assert spent <= budget + len(WORKERS) * CONCURRENCY * one
