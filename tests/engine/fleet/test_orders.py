"""Jobs that workers open themselves: once each, whoever dies when. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from batcher.core.errors import StoreError, UsageError
from batcher.core.job.spec import JobSpec
from batcher.core.model import Job
from batcher.engine.fleet.background_work import MOST_AT_ONCE
from batcher.engine.fleet.order_opener import MOST_TRIES, OrderOpener
from batcher.engine.fleet.worker import FleetWorker
from batcher.engine.opening.orders import OrderFailed, blueprint_of
from batcher.engine.services import Services
from batcher.ports import Event, Order, OrderState, Store
from batcher.settings import Settings
from batcher.wiring import open_fleet
from tests.engine.fleet.crew import Events, completed, worker
from tests.engine.virtual_time import LoopClock, in_virtual_time
from tests.engine.workbench import open_work, words


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/batcher.db"


@asynccontextmanager
async def idle(database: str) -> AsyncIterator[FleetWorker]:
    """A worker that does only what a test has it do."""
    settings = Settings(database_url=database)
    async with open_fleet(settings, log=Events(), clock=LoopClock(), chance=Random(1)) as fleet:
        yield fleet


@in_virtual_time
async def test_a_worker_opens_plans_and_serves_what_it_is_asked_for(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(300)))
        events = Events()
        async with worker(database, events):
            report = await work.runner.ask(spec)
            work.path("prompt.txt").unlink()  # only the asking side reads it
            ran = await completed(work, report.job)
        assert ran.done == list(range(300))
        assert work.stats.inputs_served_twice == 0
        assert [facts["job"] for facts in events.of(Event.ORDER_FILLED)] == [report.job]


@in_virtual_time
async def test_the_same_job_asked_for_again_is_the_one_that_is_there(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(10)))
        async with worker(database):
            first = await work.runner.ask(spec)
            await completed(work, first.job)
            again = await work.runner.ask(spec)
            fresh = await work.runner.ask(spec, fresh=True)
            await completed(work, fresh.job)
        assert (again.job, again.status) == (first.job, "complete")
        assert fresh.job != first.job
        assert work.stats.requests == 20


@in_virtual_time
async def test_a_paused_job_asked_for_again_goes_on(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database, latency_ms=1_000) as work:
        spec = work.chat(list(words(200)), concurrency=10)
        async with worker(database):
            first = await work.runner.ask(spec)
            await asyncio.sleep(3)
            await work.runner.pause(first.job)
            assert (await work.runner.ask(spec)).job == first.job
            ran = await completed(work, first.job)
        assert ran.report.status == "complete"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"id": 1, "text": "a secret"}\n{"id": 1, "text": "b"}\n', r"in\.jsonl:2: .*id"),
        ('{"id": 1, "text": "a secret"}\nnot json\n', r"in\.jsonl:2: "),
        ("", r"in\.jsonl"),
    ],
)
@in_virtual_time
async def test_an_input_that_is_wrong_fails_the_order_with_file_and_line(
    tmp_path: Path, database: str, content: str, said: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(work.write(["x"]))
        work.path("in.jsonl").write_text(content)
        events = Events()
        async with worker(database, events):
            with pytest.raises(OrderFailed, match=said) as failed:
                await work.runner.ask(spec)
            await asyncio.sleep(120)
        assert failed.value.exit_code == 2
        assert "secret" not in str(failed.value)
        assert await work.runner.jobs() == []
        assert events.of(Event.ORDER_FAILED) == [
            {"order": events.of(Event.ORDER_FAILED)[0]["order"], "error": "InputError"}
        ]


@in_virtual_time
async def test_a_file_that_no_worker_has_fails_the_order(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = replace(work.chat(["a"]), input="/nowhere/in.jsonl")
        async with worker(database):
            with pytest.raises(OrderFailed, match=r"/nowhere/in\.jsonl: there is no such file"):
                await work.runner.ask(spec)


@in_virtual_time
async def test_what_is_wrong_with_the_spec_is_said_at_once(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(["a"])
        for wrong in (
            replace(spec, input="-"),
            replace(spec, options={"prompt": "nowhere.txt"}),
            replace(spec, base_url="nowhere"),
        ):
            with pytest.raises(UsageError):
                await work.runner.ask(wrong)


@in_virtual_time
async def test_who_waits_is_told_how_many_workers_are_alive(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        alive: list[int] = []
        asking = asyncio.create_task(
            work.runner.ask(work.chat(["a", "b"]), on_waiting=alive.append)
        )
        await asyncio.sleep(10)
        assert set(alive) == {0}
        async with worker(database):
            await asking


@in_virtual_time
async def test_a_simulated_job_needs_no_key(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with open_work(tmp_path, database=database) as work:
        spec = replace(work.embed(list(words(50))), simulate=True)
        async with worker(database):
            report = await work.runner.ask(spec)
            ran = await completed(work, report.job)
        assert ran.done == list(range(50))


# --- workers that die -------------------------------------------------------------------------


@in_virtual_time
async def test_a_worker_that_dies_while_it_checks_is_replaced(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work, idle(database) as dead:
        store = dead.services.store
        order = await place(dead.services, work.chat(list(words(20))))
        await store.claim_order(order.id, "dead/1", 30.0)  # and nothing is heard of it again
        began = work.now()
        async with worker(database):
            job = await filled(store, order)
            assert 30 <= work.now() - began < 36
            ran = await completed(work, job)
        assert [opened.id for opened in await store.jobs()] == [job]
        assert ran.done == list(range(20))


@in_virtual_time
async def test_a_worker_that_dies_before_it_says_that_the_job_is_open_opens_no_second_one(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work, idle(database) as dead:
        store = dead.services.store
        order = await die_at(dead.services, "set_budget", work.chat(list(words(20))))
        assert len(await store.jobs()) == 1
        assert (await store.order(order.id)).state is OrderState.WAITING
        async with worker(database):
            ran = await completed(work, await filled(store, order))
        assert len(await store.jobs()) == 1
        assert ran.done == list(range(20))
        assert work.stats.inputs_served_twice == 0


@pytest.mark.parametrize("written", [0, 1, 3])
@in_virtual_time
async def test_a_plan_whose_worker_died_is_finished_by_another(
    tmp_path: Path, database: str, written: int
) -> None:
    async with open_work(tmp_path, database=database) as work, idle(database) as dead:
        await die_at(dead.services, "add_shard", work.chat(list(words(1_000))), after=written)
        (job,) = await dead.services.store.jobs()
        assert (job.planned, job.plan_shard) == (False, written)
        events = Events()
        async with worker(database, events):
            ran = await completed(work, job.id)
        assert ran.done == list(range(1_000))
        assert work.stats.inputs_served_twice == 0
        assert len(await work.runner.jobs()) == 1


@in_virtual_time
async def test_an_input_that_changed_under_a_plan_cancels_the_job_and_says_so(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work, idle(database) as dead:
        await die_at(dead.services, "add_shard", work.chat(list(words(1_000))), after=1)
        work.write(list(words(1_000, marker="other")))
        (report,) = await work.runner.jobs()
        async with worker(database):
            while (report := await work.runner.status(report.job)).status == "open":
                await asyncio.sleep(1)
        assert report.status == "cancelled"
        assert "the input changed" in str(report.reason)


@in_virtual_time
async def test_an_input_that_is_gone_pauses_the_job_until_it_is_back(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work, idle(database) as dead:
        await die_at(dead.services, "add_shard", work.chat(list(words(1_000))), after=1)
        work.path("in.jsonl").rename(work.path("away"))
        (report,) = await work.runner.jobs()
        async with worker(database):
            while (report := await work.runner.status(report.job)).status == "open":
                await asyncio.sleep(1)
            assert report.status == "paused"
            assert "there is no such file" in str(report.reason)
            work.path("away").rename(work.path("in.jsonl"))
            await work.runner.resume(report.job)
            ran = await completed(work, report.job)
        assert ran.done == list(range(1_000))


@in_virtual_time
async def test_a_worker_that_stops_gives_its_orders_back_at_once(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work, idle(database) as stopping:
        services = stopping.services
        store = services.store
        order = await place(services, work.chat(list(words(20))))
        filling = asyncio.create_task(OrderOpener(services, "w", Events()).open(order))
        while await store.waiting_orders():
            await asyncio.sleep(0)
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        waiting = await store.waiting_orders()
        settled = (await store.order(order.id)).state is not OrderState.WAITING
        assert settled or [free.id for free in waiting] == [order.id]


@in_virtual_time
async def test_an_order_that_workers_do_not_survive_is_given_up(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work, idle(database) as fleet:
        store = fleet.services.store
        order = await place(fleet.services, work.chat(["a"]))
        for number in range(MOST_TRIES):
            assert await store.claim_order(order.id, f"dead/{number}", 0.0) == number + 1
        async with worker(database):
            await asyncio.sleep(10)
        order = await store.order(order.id)
        assert order.state is OrderState.FAILED
        assert "given up" in str(order.error)


@in_virtual_time
async def test_a_database_that_is_away_costs_an_order_no_try(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is lost while the input is checked or when the job is opened."""
    failures = 2 * MOST_TRIES
    async with open_work(tmp_path, database=database) as work:
        async with worker(database) as fleet:
            store = fleet.services.store
            open_ordered = store.open_ordered

            async def lose(order_id: str, fence: int, job: Job) -> Job | None:
                nonlocal failures
                failures -= 1
                if failures > 0:
                    raise StoreError("the database is away")
                return await open_ordered(order_id, fence, job)

            monkeypatch.setattr(store, "open_ordered", lose)
            order = await place(fleet.services, work.chat(["a"]))
            while (found := await store.order(order.id)).state is OrderState.WAITING:
                await asyncio.sleep(10)
        assert (found.state, found.error) == (OrderState.DONE, None)
        assert found.forgiven == 2 * MOST_TRIES - 1


@in_virtual_time
async def test_three_workers_open_each_of_many_orders_once(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        inputs = [work.write([f"{n} {m}" for m in range(3)], f"in{n}.jsonl") for n in range(15)]
        async with worker(database), worker(database), worker(database):
            reports = await asyncio.gather(
                *(work.runner.ask(work.chat(path), fresh=True) for path in inputs)
            )
            for report in reports:
                await completed(work, report.job)
        assert len({report.job for report in reports}) == 15 > 3 * MOST_AT_ONCE
        assert len(await work.runner.jobs()) == 15
        assert work.stats.inputs_served_twice == 0


class Killed(BaseException):
    """What ends a worker in the middle of things, as SIGKILL would: nothing is settled."""


class MortalStore:
    """A real store, until a verb of it is called once too often: from then on there is silence."""

    def __init__(self, store: Store, verb: str, after: int) -> None:
        self._store = store
        self._verb = verb
        self._left = after
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            if name == self._verb:
                self._left -= 1
            if self._dead or self._left < 0:
                self._dead = True
                raise Killed
            return getattr(self._store, name)(*arguments, **more)

        return call


async def place(services: Services, spec: JobSpec) -> Order:
    """Ask for a job of its own; nobody waits for it."""
    return await services.store.place_order("o1", await blueprint_of(services, spec), fresh=True)


async def filled(store: Store, order: Order) -> str:
    """Wait until an order is not waiting any more; the id of its job."""
    while (order := await store.order(order.id)).state is OrderState.WAITING:
        await asyncio.sleep(0.5)
    assert order.job_id is not None, order.error
    return order.job_id


async def die_at(services: Services, verb: str, spec: JobSpec, *, after: int = 0) -> Order:
    """Place an order, and fill it until a verb of the store has been called so often."""
    order = await place(services, spec)
    mortal = cast(Store, MortalStore(services.store, verb, after))
    order_opener = OrderOpener(replace(services, store=mortal), "dead", Events())
    with pytest.raises(Killed):
        await order_opener.open(order)
    return order
