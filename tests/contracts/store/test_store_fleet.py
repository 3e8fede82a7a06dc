"""What every store promises to a fleet of workers (`batcher.ports.FleetStore`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from batcher.core.model import JobEvent
from batcher.ports import WorkerCard
from tests.fakes import EPOCH_WALL, FakeClock
from tests.store.making import (
    TTL,
    claim_one,
    make_checkpoint,
    make_job,
    make_shard,
    open_planned,
)

if TYPE_CHECKING:
    from batcher.ports import Store

START = 1_000.0
NOW = datetime.fromtimestamp(EPOCH_WALL, tz=UTC)


def card(name: str, *, started: int = 0) -> WorkerCard:
    return WorkerCard(
        name=name, host="here", pid=7, version="0", started_at=NOW + timedelta(seconds=started)
    )


# --- what there is to do ----------------------------------------------------------------------


async def test_a_job_waits_while_a_shard_of_it_may_be_claimed(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store, shards=1)
    assert await store.waiting_jobs() == ["j1"]
    await claim_one(store, owner="a")
    assert await store.waiting_jobs() == []
    fake_clock.set(START + TTL - 0.001)
    assert await store.waiting_jobs() == []
    fake_clock.set(START + TTL)
    assert await store.waiting_jobs() == ["j1"]


async def test_a_job_that_nobody_declared_complete_waits_for_that(store: Store) -> None:
    await open_planned(store, shards=1)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, done=range(4), finished=True)])
    assert await store.waiting_jobs() == ["j1"]
    await store.complete("j1")
    assert await store.waiting_jobs() == []


async def test_a_job_whose_plan_has_not_begun_does_not_wait_for_workers(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    assert await store.waiting_jobs() == []
    fence = await store.lease_plan("j1", "planner", TTL)
    assert fence is not None
    await store.add_shard("j1", fence, make_shard(0), next_row=4, planned=False)
    assert await store.waiting_jobs() == ["j1"]


async def test_only_open_jobs_wait_and_the_oldest_first(store: Store) -> None:
    for number in (1, 2, 3):
        await open_planned(store, shards=1, job_id=f"j{number}", fingerprint=f"f{number}")
    await store.move("j2", JobEvent.PAUSE)
    assert await store.waiting_jobs() == ["j1", "j3"]


async def test_what_others_have_reserved_is_counted_until_their_leases_expire(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store, shards=3, budget=1_000)
    for owner, money in (("a", 100), ("b", 20)):
        lease = await claim_one(store, owner=owner)
        await store.checkpoint("j1", [make_checkpoint(lease, reserved=money)])
    assert await store.reserved("j1", except_owner="a") == 20
    assert await store.reserved("j1", except_owner="c") == 120
    fake_clock.set(START + TTL)
    assert await store.reserved("j1", except_owner="c") == 0


async def test_a_paused_job_is_due_when_its_time_has_come(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store, shards=1)
    await store.move("j1", JobEvent.PAUSE, resume_at=NOW + timedelta(seconds=60))
    fake_clock.set(START + 59.9)
    assert await store.due_jobs() == []
    fake_clock.set(START + 60)
    assert await store.due_jobs() == ["j1"]
    await store.move("j1", JobEvent.RESUME)
    assert await store.due_jobs() == []


# --- who is alive -----------------------------------------------------------------------------


async def test_a_worker_is_alive_until_the_time_it_gave_itself(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.beat(card("w1"), TTL)
    fake_clock.set(START + 10)
    await store.beat(card("w1"), TTL)
    (state,) = await store.workers()
    assert (state.card, state.alive, state.holds) == (card("w1"), True, {})
    assert state.seen_at == NOW + timedelta(seconds=10)
    fake_clock.set(START + 10 + TTL)
    (state,) = await store.workers()
    assert not state.alive


async def test_who_left_is_not_listed_and_who_is_dead_for_a_day_neither(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.beat(card("old", started=1), TTL)
    await store.beat(card("older"), TTL)
    await store.beat(card("gone"), TTL)
    await store.leave("gone")
    await store.leave("gone")
    assert [state.card.name for state in await store.workers()] == ["older", "old"]
    fake_clock.set(START + TTL + 86_400)
    assert await store.workers() == []


async def test_a_worker_holds_what_its_runs_have_leased(store: Store) -> None:
    await open_planned(store, shards=3)
    await open_planned(store, shards=1, job_id="j2", fingerprint="f2")
    await store.beat(card("w1"), TTL)
    await store.beat(card("w10", started=1), TTL)
    await claim_one(store, owner="w1/1")
    await claim_one(store, owner="w1/1")
    await claim_one(store, owner="w10/1")
    await store.claim("j2", "w1/2", limit=1, ttl_seconds=TTL)
    first, second = await store.workers()
    assert first.holds == {"j1": 2, "j2": 1}
    assert second.holds == {"j1": 1}
