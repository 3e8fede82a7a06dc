"""What every store promises of jobs that workers open themselves (`batcher.ports.OrderStore`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from batcher.adapters.store.order_codec import blueprint_text, blueprint_value
from batcher.core.errors import UsageError
from batcher.core.kind import TextFile
from batcher.core.model import JobEvent
from batcher.ports import Blueprint, OrderState
from tests.fakes import EPOCH_WALL, FakeClock
from tests.store.making import TTL, make_job, make_shard

if TYPE_CHECKING:
    from batcher.ports import Store

START = 1_000.0
NOW = datetime.fromtimestamp(EPOCH_WALL, tz=UTC)
BLUEPRINT = Blueprint(
    spec={"kind": "chat", "input": "/data/in.csv", "model": "m", "options": {"prompt": "p.txt"}},
    files={"prompt": TextFile("p.txt", "Say {{ text }} 'ä' \n")},
)


async def test_an_order_is_kept_as_it_was_placed(store: Store) -> None:
    placed = await store.place_order("o1", BLUEPRINT, fresh=True)
    assert (placed.id, placed.blueprint, placed.fresh) == ("o1", BLUEPRINT, True)
    assert (placed.state, placed.asked_at, placed.job_id) == (OrderState.WAITING, NOW, None)
    assert await store.order("o1") == placed
    assert await store.waiting_orders() == [placed]


async def test_an_order_knows_where_its_results_go(store: Store) -> None:
    delivery = {"output": "/data/{date}-ä.csv", "overwrite": False, "format": None}
    there = replace(BLUEPRINT, delivery=delivery)
    assert (await store.place_order("o1", there, fresh=True)).blueprint == there
    assert (await store.order("o1")).blueprint == there


def test_what_an_older_batcher_wrote_of_an_order_goes_nowhere() -> None:
    assert blueprint_value('{"job":{"kind":"chat"},"files":{}}').delivery is None
    assert '"delivery"' not in blueprint_text(BLUEPRINT)


async def test_an_order_placed_again_is_the_one_that_is_there(
    store: Store, fake_clock: FakeClock
) -> None:
    placed = await store.place_order("o1", BLUEPRINT, fresh=True)
    fake_clock.set(START + 5)
    assert await store.place_order("o1", replace(BLUEPRINT, files={}), fresh=False) == placed
    assert len(await store.waiting_orders()) == 1


async def test_an_unknown_order_is_an_error(store: Store) -> None:
    with pytest.raises(UsageError, match="no order 'o1'"):
        await store.order("o1")
    with pytest.raises(UsageError, match="no order 'o1'"):
        await store.claim_order("o1", "a", TTL)


async def test_the_oldest_orders_come_first(store: Store, fake_clock: FakeClock) -> None:
    for number in (3, 1, 2):
        await store.place_order(f"o{number}", BLUEPRINT, fresh=False)
        fake_clock.set(fake_clock.now() + 1)
    assert [order.id for order in await store.waiting_orders()] == ["o3", "o1", "o2"]
    assert [order.id for order in await store.waiting_orders(limit=1)] == ["o3"]


async def test_an_order_may_be_claimed_at_its_expiry_and_not_before(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.place_order("o1", BLUEPRINT, fresh=False)
    assert await store.claim_order("o1", "a", TTL) == 1
    assert await store.waiting_orders() == []
    fake_clock.set(START + TTL - 0.001)
    assert await store.claim_order("o1", "b", TTL) is None
    fake_clock.set(START + TTL)
    assert len(await store.waiting_orders()) == 1
    assert await store.claim_order("o1", "b", TTL) == 2
    assert await store.claim_order("o1", "a", TTL) is None


async def test_its_owner_has_it_longer_under_the_same_fence(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.place_order("o1", BLUEPRINT, fresh=False)
    await store.claim_order("o1", "a", TTL)
    fake_clock.set(START + 20)
    assert await store.claim_order("o1", "a", TTL) == 1
    fake_clock.set(START + TTL)
    assert await store.claim_order("o1", "b", TTL) is None
    assert await store.claim_order("o1", "a", 0) == 1  # given back
    assert await store.claim_order("o1", "b", TTL) == 2


async def test_what_is_no_fault_of_its_own_is_forgiven_to_whoever_has_it(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.place_order("o1", BLUEPRINT, fresh=False)
    await store.claim_order("o1", "a", TTL)
    assert await store.claim_order("o1", "b", 0, unblamed=True) is None
    assert (await store.order("o1")).forgiven == 0
    for _ in range(2):  # the second time there is nothing to give back
        assert await store.claim_order("o1", "a", 0, unblamed=True) == 1
        assert (await store.order("o1")).forgiven == 1
    assert await store.claim_order("o1", "b", TTL) == 2
    fake_clock.set(START + TTL)
    assert await store.claim_order("o1", "b", 0, unblamed=True) == 2  # too late
    assert [order.forgiven for order in await store.waiting_orders()] == [1]


async def test_an_order_has_one_job_however_often_it_is_opened(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.place_order("o1", BLUEPRINT, fresh=True)
    assert await store.claim_order("o1", "a", TTL) == 1
    first = await store.open_ordered("o1", 1, make_job("j1"))
    assert first is not None
    fake_clock.set(START + TTL)  # and then its worker died
    assert await store.claim_order("o1", "b", TTL) == 2
    assert (await store.order("o1")).job_id == "j1"
    assert await store.open_ordered("o1", 2, make_job("j2")) == first
    assert [job.id for job in await store.jobs()] == ["j1"]


async def test_a_stale_fence_opens_and_settles_nothing(store: Store, fake_clock: FakeClock) -> None:
    await store.place_order("o1", BLUEPRINT, fresh=True)
    await store.claim_order("o1", "a", TTL)
    fake_clock.set(START + TTL)
    await store.claim_order("o1", "b", TTL)
    assert await store.open_ordered("o1", 1, make_job("j1")) is None
    assert not await store.settle_order("o1", 1, OrderState.FAILED, error="No.")
    assert await store.jobs() == []
    assert (await store.order("o1")).state is OrderState.WAITING


async def test_a_fresh_order_makes_a_generation_another_finds_the_job(store: Store) -> None:
    await store.open_job(make_job("j1"), fresh=False)
    for number, fresh in ((1, False), (2, True)):
        await store.place_order(f"o{number}", BLUEPRINT, fresh=fresh)
        await store.claim_order(f"o{number}", "a", TTL)
    found = await store.open_ordered("o1", 1, make_job("j2"))
    made = await store.open_ordered("o2", 1, make_job("j3"))
    assert found is not None
    assert made is not None
    assert (found.id, found.generation) == ("j1", 1)
    assert (made.id, made.generation) == ("j3", 2)


async def test_orders_filled_at_once_make_a_generation_each(store: Store) -> None:
    for number in range(6):
        await store.place_order(f"o{number}", BLUEPRINT, fresh=True)
        await store.claim_order(f"o{number}", "a", TTL)
    jobs = await asyncio.gather(
        *(store.open_ordered(f"o{n}", 1, make_job(f"j{n}")) for n in range(6))
    )
    assert sorted(job.generation for job in jobs if job) == [1, 2, 3, 4, 5, 6]


async def test_a_settled_order_waits_no_more(store: Store) -> None:
    await store.place_order("o1", BLUEPRINT, fresh=False)
    await store.claim_order("o1", "a", TTL)
    assert await store.settle_order("o1", 1, OrderState.FAILED, error="in.csv:3: ragged\0")
    settled = await store.order("o1")
    assert settled.state is OrderState.FAILED
    assert settled.error is not None
    assert settled.error.startswith("in.csv:3: ragged")
    assert await store.waiting_orders() == []
    assert await store.claim_order("o1", "a", TTL) is None
    assert await store.open_ordered("o1", 1, make_job()) is None


async def test_an_order_that_its_worker_may_not_open_waits_with_the_reason(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.place_order("o1", BLUEPRINT, fresh=False)
    fence = await store.claim_order("o1", "w1", TTL)
    assert fence is not None
    assert await store.claim_order("o1", "w1", 0.0, unblamed=True) == fence
    for _ in range(2):  # a reply may be lost
        assert await store.settle_order("o1", fence, OrderState.WAITING, error="not allowed")
    (order,) = await store.waiting_orders()
    assert (order.state, order.error, order.forgiven) == (OrderState.WAITING, "not allowed", 1)

    other = await store.claim_order("o1", "w2", TTL)
    assert other == fence + 1
    assert not await store.settle_order("o1", fence, OrderState.WAITING, error="too late")
    assert await store.settle_order("o1", other, OrderState.DONE)
    assert (await store.order("o1")).error is None


async def test_an_order_settled_twice_alike_counts_once(store: Store) -> None:
    await store.place_order("o1", BLUEPRINT, fresh=False)
    await store.claim_order("o1", "a", TTL)
    assert await store.settle_order("o1", 1, OrderState.FAILED, error="No.")
    assert await store.settle_order("o1", 1, OrderState.FAILED, error="No.")
    assert not await store.settle_order("o1", 1, OrderState.DONE)
    assert (await store.order("o1")).error == "No."


async def _open(store: Store, number: int) -> None:
    await store.place_order(f"o{number}", BLUEPRINT, fresh=True)
    await store.claim_order(f"o{number}", "a", TTL)
    await store.open_ordered(f"o{number}", 1, make_job(f"j{number}"))
    await store.settle_order(f"o{number}", 1, OrderState.DONE)


async def test_the_job_of_an_order_is_unplanned_until_it_is_planned_or_somebody_plans(
    store: Store, fake_clock: FakeClock
) -> None:
    await _open(store, 1)
    await store.open_job(make_job("other", fingerprint="g"), fresh=False)
    assert await store.unplanned_jobs() == ["j1"]
    fence = await store.lease_plan("j1", "planner", TTL)
    assert fence is not None
    assert await store.unplanned_jobs() == []
    fake_clock.set(START + TTL - 0.001)
    assert await store.unplanned_jobs() == []
    fake_clock.set(START + TTL)
    assert await store.unplanned_jobs() == ["j1"]
    await store.add_shard("j1", fence, make_shard(), next_row=4, planned=True)
    assert await store.unplanned_jobs() == []


async def test_only_open_jobs_are_planned(store: Store) -> None:
    await _open(store, 1)
    await _open(store, 2)
    await store.move("j1", JobEvent.PAUSE)
    assert await store.unplanned_jobs() == ["j2"]


async def test_orders_are_purged_with_their_job_or_when_they_are_old(
    store: Store, fake_clock: FakeClock
) -> None:
    await _open(store, 1)
    for number, state in ((2, OrderState.FAILED), (3, None)):
        await store.place_order(f"o{number}", BLUEPRINT, fresh=True)
        await store.claim_order(f"o{number}", "a", TTL)
        if state is not None:
            await store.settle_order(f"o{number}", 1, state, error="No.")
    fake_clock.set(START + 60)
    assert await store.purge_orders(NOW) == 0
    assert await store.purge_orders(NOW + timedelta(seconds=1)) == 1
    assert (await store.order("o1")).job_id == "j1"
    await store.purge("j1")
    for gone in ("o1", "o2"):
        with pytest.raises(UsageError):
            await store.order(gone)
    assert (await store.order("o3")).state is OrderState.WAITING
