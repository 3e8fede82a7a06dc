"""Schedules that workers fire: once each, by the database's clock alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from batcher.adapters.store import migrate
from batcher.core.job.schedule import Missed
from batcher.core.job.spec import JobSpec
from batcher.engine.opening.firing import fire_due
from batcher.engine.opening.schedules import Schedules
from batcher.engine.runner import Runner
from batcher.engine.services import Services
from batcher.ports import Clock, Event, OrderState
from batcher.settings import Settings
from batcher.wiring import open_fleet, open_runner
from tests.engine.fleet.crew import Events, completed, worker
from tests.engine.virtual_time import EPOCH_WALL, in_virtual_time
from tests.engine.workbench import open_work, words
from tests.fakes import FakeClock
from tests.servers.postgres import PostgresServer
from tests.store.clocked import ClockedPostgres
from tests.waiting import PATIENCE_SECONDS

TENTHS = "5-55/10 * * * *"
"""Virtual time begins at half past: the first due time is five minutes later."""
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/batcher.db"


# --- workers in virtual time ------------------------------------------------------------------


@in_virtual_time
async def test_each_due_time_is_a_job_of_its_own(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(5)))
        await work.runner.schedules.add("often", TENTHS, spec)
        events = Events()
        async with worker(database, events), worker(database, events), worker(database, events):
            await asyncio.sleep(33 * 60)
        reports = await work.runner.jobs()
        assert [report.status for report in reports] == ["complete"] * 3
        assert {report.schedule for report in reports} == {"often"}
        assert work.stats.requests == 3 * 5
        assert len(events.of(Event.SCHEDULE_FIRED)) == 3
        (listed,) = await work.runner.schedules.all()
        due = [fired.order.due_at for fired in listed.fired]
        assert [moment.minute for moment in due if moment] == [55, 45, 35]
        assert [fired.job_state for fired in listed.fired] == ["complete"] * 3
        for fired in listed.fired:
            assert fired.order.due_at is not None
            assert fired.order.asked_at - fired.order.due_at < timedelta(seconds=4)


@in_virtual_time
async def test_a_paused_schedule_rests_and_makes_nothing_up(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        schedules = work.runner.schedules
        await schedules.add("often", TENTHS, work.chat(list(words(2))))
        await schedules.pause("often")
        async with worker(database):
            await asyncio.sleep(20 * 60)
            assert await work.runner.jobs() == []
            await schedules.resume("often")
            await asyncio.sleep(60)
            assert await work.runner.jobs() == []
            await asyncio.sleep(600)
        assert len(await work.runner.jobs()) == 1


@pytest.mark.parametrize(("missed", "jobs"), [(Missed.RUN_ONCE, 1), (Missed.SKIP, 0)])
@in_virtual_time
async def test_after_an_outage_of_all_workers_the_policy_decides(
    tmp_path: Path, database: str, missed: Missed, jobs: int
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(2)))
        await work.runner.schedules.add("often", TENTHS, spec, missed=missed)
        await asyncio.sleep(10 * 3600)
        while _minute(work.now()) != 50:
            await asyncio.sleep(30)
        async with worker(database):
            await asyncio.sleep(120)
            assert len(await work.runner.jobs()) == jobs
            (listed,) = await work.runner.schedules.all()
            (fired,) = listed.fired
            assert fired.order.state is (OrderState.DONE if jobs else OrderState.SKIPPED)
            await asyncio.sleep(300)
        assert len(await work.runner.jobs()) == jobs + 1


@pytest.mark.parametrize("overlap", [False, True])
@in_virtual_time
async def test_a_run_that_takes_longer_than_the_schedule_leaves(
    tmp_path: Path, database: str, overlap: bool
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=60_000) as work:
        spec = work.chat(list(words(6)), concurrency=1)
        await work.runner.schedules.add("quick", "* * * * *", spec, overlap=overlap)
        async with worker(database):
            await asyncio.sleep(6 * 60)
            (listed,) = await work.runner.schedules.all()
            states = [fired.order.state for fired in listed.fired]
            await work.runner.schedules.remove("quick")
            reports = await work.runner.jobs()
            for report in reports:
                await completed(work, report.job)
        if overlap:
            assert set(states) == {OrderState.DONE}
            assert len(reports) == len(states) >= 5
        else:
            assert states[-1] is OrderState.DONE
            assert OrderState.SKIPPED in states
            skipped = next(f for f in listed.fired if f.order.state is OrderState.SKIPPED)
            assert f"job {reports[-1].job}, is open" in str(skipped.order.error)


@in_virtual_time
async def test_an_input_that_is_wrong_one_night_does_not_end_the_schedule(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(work.write(["a"]))
        await work.runner.schedules.add("often", TENTHS, spec)
        work.path("in.jsonl").write_text("no json\n")
        async with worker(database):
            await asyncio.sleep(400)
            work.write(["a", "b"])
            await asyncio.sleep(600)
        (listed,) = await work.runner.schedules.all()
        good, bad = (fired.order for fired in listed.fired)
        assert (bad.state, bad.job_id) == (OrderState.FAILED, None)
        assert "in.jsonl:1: " in str(bad.error)
        assert good.state is OrderState.DONE


def _minute(now: float) -> int:
    return datetime.fromtimestamp(EPOCH_WALL + now, UTC).minute


# --- several workers on one real Postgres -----------------------------------------------------


class Skewed(FakeClock):
    """A machine whose clock is wrong."""

    def __init__(self, right: FakeClock, seconds: float) -> None:
        super().__init__(wall=right.wall() + seconds)
        right.watch(lambda wall: self.set(self.now() + wall + seconds - self.wall()))


class Fleet:
    """Three workers' adapters on one Postgres whose clock a test moves; theirs go wrong."""

    def __init__(self, clock: FakeClock, members: list[Services]) -> None:
        self.clock = clock
        self.members = members
        self.events = Events()
        self.schedules = Schedules(members[0])
        self.store = members[0].store

    async def at(self, moment: datetime) -> None:
        """Everybody looks, several times at once, when it is so late for the database."""
        self.clock.set(self.clock.now() + moment.timestamp() - self.clock.wall())
        await asyncio.gather(
            *(fire_due(member, self.events) for _ in range(4) for member in self.members)
        )


@pytest.fixture(scope="module")
def clocked(postgres: PostgresServer) -> Iterator[ClockedPostgres]:
    made = ClockedPostgres(postgres)
    yield made
    made.close()


@asynccontextmanager
async def a_fleet(clocked: ClockedPostgres) -> AsyncIterator[Fleet]:
    clock = FakeClock(wall=NOON.timestamp())
    settings = Settings(database_url=clocked.begin(clock))
    async with AsyncExitStack() as stack:
        members = []
        for seconds in (-10.0, 0.0, 10.0):
            wrong: Clock = Skewed(clock, seconds)
            fleet = await stack.enter_async_context(
                open_fleet(settings, log=Events(), clock=wrong, chance=Random(1))
            )
            members.append(fleet.services)
        yield Fleet(clock, members)


def a_spec(directory: Path) -> JobSpec:
    (directory / "in.csv").write_text("id,text\n1,one\n2,two\n")
    return JobSpec(
        kind="embed",
        input=str(directory / "in.csv"),
        model="text-embedding-3-small",
        options={"text": "text"},
        simulate=True,
    )


async def test_three_workers_on_a_postgres_fire_each_due_time_once(
    clocked: ClockedPostgres, tmp_path: Path
) -> None:
    async with a_fleet(clocked) as fleet:
        await fleet.schedules.add("each", "* * * * *", a_spec(tmp_path), overlap=True)
        for minute in range(1, 21):
            await fleet.at(NOON + timedelta(minutes=minute, seconds=minute % 3))
        orders = await fleet.store.firings("each")
    due = [order.due_at for order in orders]
    assert due == [NOON + timedelta(minutes=minute) for minute in range(20, 0, -1)]
    assert len(fleet.events.of(Event.SCHEDULE_FIRED)) == 20


async def test_a_worker_whose_clock_is_ten_seconds_fast_fires_nothing_too_early(
    clocked: ClockedPostgres, tmp_path: Path
) -> None:
    async with a_fleet(clocked) as fleet:
        assert [round(member.clock.wall() - NOON.timestamp()) for member in fleet.members] == [
            -10,
            0,
            10,
        ]
        await fleet.schedules.add("daily", "1 12 * * *", a_spec(tmp_path))
        due = NOON + timedelta(minutes=1)
        await fleet.at(due - timedelta(milliseconds=1))
        assert await fleet.store.firings("daily") == []
        await fleet.at(due)
        (order,) = await fleet.store.firings("daily")
        assert (order.due_at, order.asked_at) == (due, due)
        await fleet.at(due + timedelta(seconds=30))
        assert len(await fleet.store.firings("daily")) == 1


async def test_due_and_by_hand_at_once_do_not_overlap(
    clocked: ClockedPostgres, tmp_path: Path
) -> None:
    async with a_fleet(clocked) as fleet:
        await fleet.schedules.add("daily", "1 12 * * *", a_spec(tmp_path))
        fleet.clock.set(fleet.clock.now() + 60)
        await asyncio.gather(
            *(Schedules(member).run("daily") for member in fleet.members),
            *(fire_due(member, fleet.events) for member in fleet.members),
            return_exceptions=True,
        )
        orders = await fleet.store.firings("daily")
    assert [order.state for order in orders].count(OrderState.WAITING) == 1
    assert len(orders) == 4


async def test_three_real_workers_on_a_postgres_run_a_schedule_once(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what workers may read where nothing else is said
    url = postgres.url(name := postgres.database())
    await asyncio.to_thread(migrate.upgrade, url)
    try:
        async with AsyncExitStack() as stack:
            runner: Runner = await stack.enter_async_context(
                open_runner(Settings(database_url=url))
            )
            settings = Settings(database_url=url, allow_source=(str(tmp_path),))
            fleets = [
                await stack.enter_async_context(
                    open_fleet(settings, log=Events(), look_seconds=0.05)
                )
                for _ in range(3)
            ]
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for fleet in fleets:
                tasks.create_task(fleet.run())
                stack.callback(fleet.stop)
            store = fleets[0].services.store
            await runner.schedules.add("daily", "0 3 * * *", a_spec(tmp_path))
            (schedule,) = await store.schedules()
            now = await store.moment()
            await store.remove_schedule("daily")
            await store.add_schedule(replace(schedule, next_due=now))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while [report.status for report in await runner.jobs()] != ["complete"]:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)
            (report,) = await runner.jobs()
            (listed,) = await runner.schedules.all()
        assert (report.rows_done, report.schedule) == (2, "daily")
        assert len(listed.fired) == 1
    finally:
        postgres.drop(name)
