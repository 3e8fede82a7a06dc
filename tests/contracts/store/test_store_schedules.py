"""What every store promises of schedules (`batcher.ports.ScheduleStore`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from batcher.core.job.schedule import Missed
from batcher.core.model import JobEvent, StopCause
from batcher.ports import Firing, Order, OrderState, Schedule
from tests.contracts.store.test_store_orders import BLUEPRINT
from tests.fakes import EPOCH_WALL, FakeClock
from tests.store.making import TTL, make_job, plan

if TYPE_CHECKING:
    from batcher.ports import Store

START = 1_000.0
NOW = datetime.fromtimestamp(EPOCH_WALL, tz=UTC)
DUE = NOW + timedelta(seconds=60)
LATER = DUE + timedelta(hours=1)


def make_schedule(name: str = "nightly", *, overlap: bool = False) -> Schedule:
    return Schedule(
        name=name,
        cron="0 3 * * *",
        timezone="Europe/Berlin",
        blueprint=BLUEPRINT,
        missed=Missed.SKIP,
        overlap=overlap,
        next_due=DUE,
        created_at=NOW,
    )


def firing(number: int = 1, *, due: datetime = DUE, next_due: datetime | None = LATER) -> Firing:
    return Firing(order_id=f"o{number}", due=due, was_due=due, next_due=next_due)


BY_HAND = Firing(order_id="by-hand")


async def test_a_schedule_is_kept_as_it_was_added(store: Store) -> None:
    assert await store.add_schedule(make_schedule())
    assert await store.add_schedule(make_schedule("hourly", overlap=True))
    assert await store.schedules() == [make_schedule("hourly", overlap=True), make_schedule()]


async def test_a_name_is_taken_once(store: Store) -> None:
    assert await store.add_schedule(make_schedule())
    assert await store.add_schedule(make_schedule())  # the same, sent again
    assert not await store.add_schedule(replace(make_schedule(), cron="* * * * *"))
    assert await store.schedules() == [make_schedule()]


async def test_a_removed_schedule_is_gone_with_what_it_has_not_begun(store: Store) -> None:
    await store.add_schedule(make_schedule(overlap=True))
    await store.fire("nightly", firing(1))
    await store.fire("nightly", firing(2, due=LATER, next_due=None))
    await store.claim_order("o1", "a", TTL)
    assert await store.remove_schedule("nightly")
    assert not await store.remove_schedule("nightly")
    assert await store.schedules() == []
    assert [order.id for order in await store.firings("nightly")] == ["o1"]


async def test_a_firing_that_was_given_back_goes_with_its_schedule(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.add_schedule(make_schedule(overlap=True))
    await store.fire("nightly", firing(1))
    await store.fire("nightly", firing(2, due=LATER, next_due=None))
    await store.claim_order("o1", "a", TTL)
    await store.claim_order("o1", "a", 0.0)
    fence = await store.claim_order("o2", "a", TTL)
    assert fence is not None
    assert await store.open_ordered("o2", fence, make_job()) is not None
    fake_clock.set(START + 2 * TTL)
    assert await store.remove_schedule("nightly")
    assert [order.id for order in await store.firings("nightly")] == ["o2"]


async def test_a_schedule_is_due_at_its_time_by_the_databases_clock(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.add_schedule(make_schedule())
    fake_clock.set(START + 59.999)
    assert (await store.due_schedules())[1] == []
    fake_clock.set(START + 60)
    assert await store.due_schedules() == (DUE, [make_schedule()])
    assert await store.moment() == DUE


async def test_a_held_schedule_is_not_due_and_does_not_fire(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.add_schedule(make_schedule())
    fake_clock.set(START + 60)
    assert await store.hold_schedule("nightly", paused=True, next_due=DUE)
    assert (await store.due_schedules())[1] == []
    assert await store.fire("nightly", firing()) is None
    assert await store.hold_schedule("nightly", paused=False, next_due=LATER)
    assert (await store.due_schedules())[1] == []
    assert (await store.schedules())[0].next_due == LATER
    assert not await store.hold_schedule("nobody", paused=True, next_due=None)


async def test_a_schedule_that_is_never_due_again_is_not_due(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.add_schedule(replace(make_schedule(), next_due=None))
    fake_clock.set(START + 1_000_000)
    assert (await store.due_schedules())[1] == []


async def test_firing_places_an_order_and_moves_the_schedule_on(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.add_schedule(make_schedule())
    fake_clock.set(START + 61)
    order = await store.fire("nightly", firing())
    assert order == Order(
        id="o1",
        blueprint=BLUEPRINT,
        fresh=True,
        asked_at=NOW + timedelta(seconds=61),
        schedule="nightly",
        due_at=DUE,
    )
    assert await store.waiting_orders() == [order]
    assert (await store.schedules())[0].next_due == LATER
    assert (await store.due_schedules())[1] == []


async def test_of_many_who_fire_the_same_due_time_one_does(store: Store) -> None:
    await store.add_schedule(make_schedule(overlap=True))
    fired = await asyncio.gather(*(store.fire("nightly", firing(n)) for n in range(8)))
    assert len([order for order in fired if order]) == 1
    assert len(await store.firings("nightly")) == 1


async def test_a_firing_written_twice_counts_once(store: Store) -> None:
    await store.add_schedule(make_schedule(overlap=True))
    assert await store.fire("nightly", firing()) == await store.fire("nightly", firing())
    assert len(await store.firings("nightly")) == 1


async def test_a_due_time_fires_once_even_for_a_schedule_that_was_added_again(store: Store) -> None:
    await store.add_schedule(make_schedule(overlap=True))
    await store.fire("nightly", firing(1))
    await store.claim_order("o1", "a", TTL)
    await store.remove_schedule("nightly")
    await store.add_schedule(make_schedule(overlap=True))
    assert await store.fire("nightly", firing(2)) is None
    assert (await store.schedules())[0].next_due == LATER
    assert len(await store.firings("nightly")) == 1


async def test_nobody_fires_a_schedule_that_is_not_there(store: Store) -> None:
    assert await store.fire("nightly", firing()) is None
    assert await store.fire("nightly", BY_HAND) is None


async def test_what_is_decided_to_be_skipped_is_kept_as_skipped(store: Store) -> None:
    await store.add_schedule(make_schedule())
    order = await store.fire("nightly", replace(firing(), skipped="missed"))
    assert order is not None
    assert (order.state, order.error) == (OrderState.SKIPPED, "missed")
    assert await store.waiting_orders() == []
    assert await store.firings("nightly") == [order]


async def test_a_run_that_waits_for_a_worker_is_under_way(store: Store) -> None:
    await store.add_schedule(make_schedule())
    await store.fire("nightly", firing(1))
    second = await store.fire("nightly", firing(2, due=LATER))
    assert second is not None
    assert second.state is OrderState.SKIPPED
    assert second.error == "the run before it waits for a worker"


@pytest.mark.parametrize(
    ("events", "under_way"),
    [
        ((), "open"),
        ((JobEvent.PAUSE,), "paused"),
        ((JobEvent.CANCEL,), None),
        ((JobEvent.COMPLETE,), None),
    ],
)
async def test_a_job_is_under_way_while_it_is_open_or_paused(
    store: Store, events: tuple[JobEvent, ...], under_way: str | None
) -> None:
    await store.add_schedule(make_schedule())
    await store.fire("nightly", firing(1))
    await store.claim_order("o1", "a", TTL)
    job = await store.open_ordered("o1", 1, make_job("j1"))
    assert job is not None
    assert job.schedule == "nightly"
    assert (await store.job("j1")).schedule == "nightly"
    await store.settle_order("o1", 1, OrderState.DONE)
    for event in events:
        await store.move("j1", event)
    second = await store.fire("nightly", firing(2, due=LATER))
    assert second is not None
    if under_way is None:
        assert second.state is OrderState.WAITING
    else:
        assert second.state is OrderState.SKIPPED
        assert second.error == f"the run before it, job j1, is {under_way}"


async def test_a_failed_order_is_no_run_under_way(store: Store) -> None:
    await store.add_schedule(make_schedule())
    await store.fire("nightly", firing(1))
    await store.claim_order("o1", "a", TTL)
    await store.settle_order("o1", 1, OrderState.FAILED, error="No.")
    second = await store.fire("nightly", firing(2, due=LATER))
    assert second is not None
    assert second.state is OrderState.WAITING


async def test_overlap_is_allowed_where_it_is_asked_for(store: Store) -> None:
    await store.add_schedule(make_schedule(overlap=True))
    await store.fire("nightly", firing(1))
    await store.fire("nightly", firing(2, due=LATER))
    assert [order.id for order in await store.waiting_orders()] == ["o1", "o2"]


async def test_by_hand_it_fires_at_any_time_even_if_paused_and_does_not_move_on(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.add_schedule(make_schedule(overlap=True))
    await store.hold_schedule("nightly", paused=True, next_due=DUE)
    first = await store.fire("nightly", BY_HAND)
    fake_clock.set(START + 1)
    second = await store.fire("nightly", replace(BY_HAND, order_id="again"))
    assert first is not None
    assert second is not None
    assert (first.schedule, first.due_at, first.fresh) == ("nightly", None, True)
    assert (await store.schedules())[0].next_due == DUE
    assert await store.firings("nightly") == [second, first]
    assert await store.firings("nightly", limit=1) == [second]


@pytest.mark.parametrize("cause", list(StopCause))
@pytest.mark.parametrize("planned", [False, True])
async def test_a_job_whose_plan_failed_holds_no_later_run_up(
    store: Store, cause: StopCause, planned: bool
) -> None:
    await store.add_schedule(make_schedule())
    order = await store.fire("nightly", firing(1))
    assert order is not None
    fence = await store.claim_order(order.id, "a", TTL)
    assert fence is not None
    await store.open_ordered(order.id, fence, make_job())
    await store.settle_order(order.id, fence, OrderState.DONE)
    if planned:
        await plan(store)
    await store.move("j1", JobEvent.PAUSE, cause=cause, reason="why")
    later = await store.fire(
        "nightly", Firing(order_id="o2", due=LATER, was_due=LATER, next_due=None)
    )
    assert later is not None
    held_up = planned or cause not in (StopCause.INPUT, StopCause.KIND, StopCause.PLAN)
    assert later.state is (OrderState.SKIPPED if held_up else OrderState.WAITING)
