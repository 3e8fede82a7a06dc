"""Orders: a job that a worker is to open is opened once, whatever becomes of that worker.

The input is at a URL whose answers are held back. So a worker that has claimed an order stands
between that and opening the job, for as long as a test likes. On a busy machine a worker may sleep
through a lease of two seconds; what would be wrong then for no fault of its own is not asserted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from aiohttp import web
from psycopg.rows import class_row

from batcher.core.job.spec import JobSpec
from batcher.engine.runner import Runner
from batcher.ports import Event, OrderState
from batcher.settings import Settings
from batcher.simulator import Simulator, SimulatorConfig, serve
from tests.fleet.harness import Fleet, classifying, exported, fleet_of, tickets, undisturbed
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.process

ROWS = 60
NEVER_SOON = "0 3 29 2 *"
_LOOK_SECONDS = 0.05


class HeldInput:
    """An input over HTTP: who asks before :meth:`release` is kept waiting until then."""

    def __init__(self, text: str) -> None:
        self.url = ""
        self.asked: list[float] = []
        self._text = text
        self._first = asyncio.Event()
        self._released = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        """One GET; ``asked`` has the wall's time of each."""
        del request
        self.asked.append(time.time())
        self._first.set()
        await self._released.wait()
        return web.Response(text=self._text)

    async def is_asked(self) -> None:
        """Wait until the first one asks."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._first.wait()

    def release(self) -> None:
        """Let all have their answers."""
        self._released.set()


@pytest.fixture
async def held() -> AsyncIterator[HeldInput]:
    source = HeldInput(tickets(ROWS))
    app = web.Application()
    app.router.add_get("/in.csv", source.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    source.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in.csv"
    yield source
    source.release()
    await runner.cleanup()


@pytest.fixture
def settings(settings: Settings, held: HeldInput) -> Settings:
    """Where the fleet's things are; its workers may read the held input."""
    return replace(settings, allow_source=(held.url,))


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with serve(SimulatorConfig(latency_ms=10)) as running:
        yield running


class OrderLease(NamedTuple):
    """An order as the database has it; ``expires_at`` in seconds of the wall's time."""

    state: str
    fence: int
    expires_at: float | None
    job_id: str | None


def order_in(settings: Settings) -> OrderLease:
    """The only order that there is."""
    with closing(psycopg.connect(str(settings.database_url))) as connection:
        cursor = connection.cursor(row_factory=class_row(OrderLease))
        cursor.execute("SELECT state, fence, expires_at, job_id FROM job_order")
        (order,) = cursor.fetchall()
        return order


def still_of(lease: OrderLease, now: OrderLease) -> OrderLease:
    """The same grant of a lease as it was seen last: it is renewed for as long as it is held."""
    return now if now.fence == lease.fence else lease


async def filled(settings: Settings) -> OrderLease:
    """The only order, once it is not waiting any more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (order := order_in(settings)).state == OrderState.WAITING:
            await asyncio.sleep(_LOOK_SECONDS)
    return order


async def freeze_between_transactions(fleet: Fleet, number: int, settings: Settings) -> None:
    """Freeze a worker that holds no lock in the database, which only ends it after a minute."""
    amid = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            fleet.freeze(number)
            await asyncio.sleep(_LOOK_SECONDS)  # what it asked for last is done by then
            with closing(psycopg.connect(str(settings.database_url))) as connection:
                if connection.execute(amid).fetchone() == (0,):
                    return
            fleet.wake(number)
            await asyncio.sleep(_LOOK_SECONDS)


async def ask(runner: Runner, spec: JobSpec) -> None:
    """As ``submit --server-side --fresh`` does, which would take a second opening for another."""
    await runner.ask(spec, fresh=True)


async def fall_due(runner: Runner, spec: JobSpec) -> None:
    """A schedule's time has come; workers fire it."""
    await runner.schedules.add("nightly", NEVER_SOON, spec)
    store, due = runner._services.store, datetime.now(UTC).replace(microsecond=0)
    assert await store.hold_schedule("nightly", paused=False, next_due=due)


@asynccontextmanager
async def under_way(doing: Awaitable[None]) -> AsyncIterator[None]:
    """Something that goes on beside, and has to end well."""
    task = asyncio.ensure_future(doing)
    try:
        yield
        await asyncio.wait_for(task, PATIENCE_SECONDS)
    finally:
        task.cancel()


@pytest.mark.parametrize("order", [ask, fall_due])
async def test_a_worker_killed_before_it_opens_a_job_is_replaced_when_its_lease_ends(
    tmp_path: Path,
    settings: Settings,
    simulator: Simulator,
    held: HeldInput,
    order: Callable[[Runner, JobSpec], Awaitable[None]],
) -> None:
    (tmp_path / "in.csv").write_text(tickets(ROWS))
    spec = classifying(held.url, simulator)
    calm = await undisturbed(replace(spec, input=str(tmp_path / "in.csv")), tmp_path / "calm.jsonl")
    simulator.reset()
    async with (
        fleet_of((1,), tmp_path, settings, simulator) as (fleet, runner),
        under_way(order(runner, spec)),
    ):
        await held.is_asked()
        first = order_in(settings)
        await fleet.start(2, 3)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(fleet.events(Event.WORKER_STARTED)) < 3:
                first = still_of(first, order_in(settings))
                await asyncio.sleep(_LOOK_SECONDS)
        assert await runner.jobs() == []
        await fleet.kill(1)
        left = order_in(settings)
        assert (left.state, left.job_id) == (OrderState.WAITING, None)
        first = still_of(first, left)
        assert first.expires_at is not None
        held.release()

        done = await filled(settings)
        assert done.state == OrderState.DONE
        assert done.fence > first.fence
        assert held.asked[1] >= first.expires_at
        (opened,) = await runner.jobs()
        assert opened.job == done.job_id
        await fleet.completed(runner, opened.job)

        assert await exported(runner, opened.job, tmp_path / "out.jsonl") == calm
        assert [report.job for report in await runner.jobs()] == [opened.job]
        assert {told["job"] for told in fleet.events(Event.ORDER_FILLED)} == {opened.job}
        slept = len(fleet.events(Event.LEASE_LOST))
        assert simulator.stats.inputs_served_twice <= slept * ROWS
        assert simulator.stats.distinct_inputs == ROWS


async def test_a_worker_that_was_frozen_past_its_lease_opens_no_second_job_and_goes_on(
    tmp_path: Path, settings: Settings, simulator: Simulator, held: HeldInput
) -> None:
    spec = classifying(held.url, simulator)
    async with fleet_of((1,), tmp_path, settings, simulator) as (fleet, runner):
        async with under_way(ask(runner, spec)):
            await held.is_asked()
            await freeze_between_transactions(fleet, 1, settings)
            held.release()
            await fleet.start(2)
            done = await filled(settings)
            assert done.state == OrderState.DONE
            assert done.fence > 1
        (opened,) = await runner.jobs()
        await fleet.completed(runner, opened.job)
        await fleet.stop(2)

        fleet.wake(1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            another = await runner.ask(spec, fresh=True)  # begun after what it woke up in
        await fleet.completed(runner, another.job)
        await fleet.stop(1)

        assert [report.job for report in await runner.jobs()] == [another.job, opened.job]
        slept = len(fleet.events(Event.LEASE_LOST))
        assert 2 * ROWS <= simulator.stats.inputs_served <= (2 + slept) * ROWS
