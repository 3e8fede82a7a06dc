"""What every store promises of a job's budget (`batcher.ports.ShardStore`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batcher.ports import BudgetShort
from tests.fakes import FakeClock
from tests.store.making import (
    START,
    TTL,
    claim_one,
    make_checkpoint,
    open_planned,
    stored,
)

if TYPE_CHECKING:
    from batcher.ports import Store


# --- the budget -------------------------------------------------------------------------------


async def test_a_reservation_within_the_budget_is_granted_to_the_last_picodollar(
    store: Store,
) -> None:
    await open_planned(store, shards=2, budget=100)
    one, two = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    await store.checkpoint("j1", [make_checkpoint(one, 1, reserved=60)])
    with pytest.raises(BudgetShort) as short:
        await store.checkpoint("j1", [make_checkpoint(two, 1, reserved=41)])
    assert short.value.available_picousd == 40
    await store.checkpoint("j1", [make_checkpoint(two, 1, reserved=40)])


async def test_a_refused_batch_writes_nothing(store: Store) -> None:
    await open_planned(store, shards=2, budget=100)
    one, two = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    before = (await store.tally("j1"), await stored(store))
    batch = [make_checkpoint(one, 1, done=[0], cost=1), make_checkpoint(two, 1, reserved=100)]
    with pytest.raises(BudgetShort):
        await store.checkpoint("j1", batch)
    assert (await store.tally("j1"), await stored(store)) == before
    await store.checkpoint("j1", batch[:1])
    assert (await store.tally("j1")).usage.cost_picousd == 1


async def test_what_is_spent_moves_out_of_the_reservation(store: Store) -> None:
    await open_planned(store, budget=100)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, reserved=100, sent=10)])
    # Ten requests of 10; one came back at 4. What it did not need buys no request yet …
    again = make_checkpoint(lease, 2, done=[0], cost=4, reserved=100, sent=11)
    with pytest.raises(BudgetShort) as short:
        await store.checkpoint("j1", [again])
    assert short.value.available_picousd == 0
    # … but two of them buy one.
    two = make_checkpoint(lease, 2, done=[0, 1], cost=8, reserved=90, sent=11)
    await store.checkpoint("j1", [two])
    with pytest.raises(BudgetShort) as short:
        await store.checkpoint("j1", [make_checkpoint(lease, 3, reserved=93, sent=12)])
    assert short.value.available_picousd == 2


async def test_what_is_paid_for_is_never_refused(store: Store) -> None:
    await open_planned(store, budget=100)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, reserved=100, sent=10)])
    # Answers far dearer than their worst case; the requests still out stay reserved.
    await store.checkpoint("j1", [make_checkpoint(lease, 2, cost=70, reserved=90, sent=10)])
    await store.checkpoint("j1", [make_checkpoint(lease, 3, doubt=500, reserved=90, sent=10)])
    await store.checkpoint("j1", [make_checkpoint(lease, 4, cost=500, sent=10)])
    with pytest.raises(BudgetShort) as short:
        await store.checkpoint("j1", [make_checkpoint(lease, 5, reserved=1, sent=11)])
    assert short.value.available_picousd == 100 - 1_070
    await store.checkpoint("j1", [make_checkpoint(lease, 5, cost=1, sent=10, finished=True)])
    assert (await store.tally("j1")).usage.cost_picousd == 571


async def test_a_lost_lease_keeps_its_reservation_until_its_successor_settles_it(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store, shards=2, budget=100)
    lease = await claim_one(store, "dead")
    await store.checkpoint("j1", [make_checkpoint(lease, 1, reserved=90, sent=9)])
    fake_clock.set(START + TTL)
    successor, other = await store.claim("j1", "b", limit=2, ttl_seconds=TTL)
    with pytest.raises(BudgetShort) as short:
        await store.checkpoint("j1", [make_checkpoint(other, 1, reserved=11)])
    assert short.value.available_picousd == 10
    # The same amount and fewer requests, but of a new lease: it asks.
    ask = make_checkpoint(successor, 1, doubt=90, reserved=90, sent=9)
    with pytest.raises(BudgetShort):
        await store.checkpoint("j1", [ask])
    await store.checkpoint("j1", [make_checkpoint(successor, 1, doubt=30, reserved=70, sent=7)])
    await store.checkpoint("j1", [make_checkpoint(successor, 2, doubt=60, sent=7, released=True)])
    await store.checkpoint("j1", [make_checkpoint(other, 1, reserved=10)])


async def test_a_batch_that_frees_as_much_as_it_asks_is_accepted_over_budget(
    store: Store,
) -> None:
    await open_planned(store, shards=2, budget=100)
    one, two = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    await store.checkpoint("j1", [make_checkpoint(one, 1, reserved=80)])
    await store.set_budget("j1", 50)
    batch = [make_checkpoint(one, 2), make_checkpoint(two, 1, reserved=80)]
    assert await store.checkpoint("j1", batch) == set()


async def test_without_a_budget_nothing_is_refused(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    assert not await store.checkpoint("j1", [make_checkpoint(lease, reserved=10**18)])
