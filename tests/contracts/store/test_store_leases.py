"""What every store promises of planning and leasing (`batcher.ports.ShardStore`)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from batcher.core.model import JobEvent
from batcher.core.progress import ShardEvent
from batcher.ports import Lease, WorkerCard
from tests.fakes import EPOCH_WALL, FakeClock
from tests.store.making import (
    TTL,
    claim_one,
    make_checkpoint,
    make_dead,
    make_job,
    make_shard,
    open_planned,
)

if TYPE_CHECKING:
    from batcher.ports import Store

START = 1_000.0


# --- the plan ---------------------------------------------------------------------------------


async def test_the_right_to_plan_is_one_owners_until_the_instant_it_expires(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.open_job(make_job(), fresh=False)
    assert await store.lease_plan("j1", "a", TTL) == 1
    assert await store.lease_plan("j1", "b", TTL) is None
    fake_clock.set(START + TTL - 0.001)
    assert await store.lease_plan("j1", "b", TTL) is None
    fake_clock.set(START + TTL)
    assert await store.lease_plan("j1", "b", TTL) == 2
    assert await store.lease_plan("j1", "a", TTL) is None


async def test_its_own_owner_extends_the_right_to_plan(store: Store, fake_clock: FakeClock) -> None:
    await store.open_job(make_job(), fresh=False)
    await store.lease_plan("j1", "a", TTL)
    fake_clock.set(START + 20)
    assert await store.lease_plan("j1", "a", TTL) == 1
    fake_clock.set(START + TTL)
    assert await store.lease_plan("j1", "b", TTL) is None
    fake_clock.set(START + 99)
    assert await store.lease_plan("j1", "a", TTL) == 1


async def test_a_shard_and_the_cursor_are_written_together(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await fenced_plan(store)
    assert await store.add_shard("j1", fence, make_shard(0), next_row=4, planned=False)
    job = await store.job("j1")
    assert (job.plan_row, job.plan_shard, job.planned) == (4, 1, False)
    assert await store.add_shard("j1", fence, None, next_row=6, planned=False)
    job = await store.job("j1")
    assert (job.plan_row, job.plan_shard, job.planned) == (6, 1, False)
    assert await store.add_shard("j1", fence, make_shard(1), next_row=8, planned=True)
    job = await store.job("j1")
    assert (job.plan_row, job.plan_shard, job.planned) == (8, 2, True)


async def test_nobody_is_granted_what_it_holds(store: Store, fake_clock: FakeClock) -> None:
    await open_planned(store, shards=3)
    first, second = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    fake_clock.set(START + 2 * TTL)
    held = [first.shard_id, second.shard_id]
    assert (
        await store.claim("j1", "a", limit=9, ttl_seconds=TTL, expired_only=True, exclude=held)
        == []
    )
    (third,) = await store.claim("j1", "a", limit=9, ttl_seconds=TTL, exclude=held)
    assert third.shard_id not in held
    assert await store.renew("a", held, TTL) == set(held)
    (other,) = await store.claim("j1", "b", limit=9, ttl_seconds=TTL, exclude=held[:1]) or (None,)
    assert other is None
    fake_clock.set(START + 4 * TTL)
    taken = await store.claim("j1", "b", limit=9, ttl_seconds=TTL, exclude=held[:1])
    assert [lease.shard_id for lease in taken] == [held[1], third.shard_id]


async def test_a_stale_planner_writes_nothing(store: Store, fake_clock: FakeClock) -> None:
    await store.open_job(make_job(), fresh=False)
    stale = await fenced_plan(store, "a")
    fake_clock.set(START + TTL)
    fence = await fenced_plan(store, "b")
    before = await store.job("j1")
    for shard in (make_shard(0, dead=[make_dead(0)]), None):
        assert not await store.add_shard("j1", stale, shard, next_row=4, planned=True)
    assert await store.job("j1") == before
    assert (await store.tally("j1")).rows_planned == 0
    assert await store.add_shard("j1", fence, make_shard(0), next_row=4, planned=True)


async def test_an_expired_planner_whom_nobody_followed_may_write(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await fenced_plan(store)
    fake_clock.set(START + 2 * TTL)
    assert await store.add_shard("j1", fence, make_shard(0), next_row=4, planned=False)


async def test_only_what_comes_next_is_planned(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await fenced_plan(store)
    assert not await store.add_shard("j1", fence, make_shard(1), next_row=4, planned=False)
    assert await store.add_shard("j1", fence, make_shard(0), next_row=4, planned=False)
    assert not await store.add_shard("j1", fence, make_shard(0), next_row=8, planned=False)
    assert not await store.add_shard("j1", fence, None, next_row=3, planned=True)
    assert (await store.job("j1")).plan_row == 4
    assert await store.add_shard("j1", fence, None, next_row=4, planned=True)
    assert not await store.add_shard("j1", fence, make_shard(1), next_row=8, planned=True)


async def test_what_planning_sends_twice_counts_once(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await fenced_plan(store)
    first = make_shard(0, dead=[make_dead(0, final=True)])
    for _ in range(2):
        assert await store.add_shard("j1", fence, first, next_row=4, planned=False)
    for _ in range(2):
        assert await store.add_shard("j1", fence, make_shard(1), next_row=8, planned=True)
    assert not await store.add_shard("j1", fence, first, next_row=4, planned=False)
    assert not await store.add_shard("j1", fence - 1, make_shard(1), next_row=8, planned=True)
    assert (await store.tally("j1")).rows_planned == 8
    assert len(await store.claim("j1", "a", limit=9, ttl_seconds=TTL)) == 2
    await store.lease_plan("j1", "b", TTL)
    assert not await store.add_shard("j1", fence, make_shard(1), next_row=8, planned=True)


async def test_a_written_plan_gives_the_right_back(store: Store) -> None:
    await open_planned(store)
    assert await store.lease_plan("j1", "b", TTL) == 2


async def test_dead_letters_of_planning_come_with_their_shard(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await fenced_plan(store)
    letters = [make_dead(2, code="empty_input", final=True), make_dead(0, final=True)]
    await store.add_shard("j1", fence, make_shard(dead=letters), next_row=4, planned=True)
    assert [letter async for letter in store.dead_letters("j1")] == letters[::-1]
    (shard,) = [shard async for shard in store.shards("j1")]
    assert shard.dead_rows == {0, 2}


# --- leases -----------------------------------------------------------------------------------


async def test_a_lease_has_all_that_its_owner_needs(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    assert lease == Lease(
        shard_id=lease.shard_id,
        ordinal=0,
        fence=1,
        expires_at=EPOCH_WALL + TTL,
        outline=b"outline 0",
        prompts=b"prompts 0",
        events=(),
        sent_fence=0,
        sent_through=0,
    )


async def test_lowest_ordinals_are_leased_first_and_once(store: Store) -> None:
    await open_planned(store, shards=5)
    first = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    rest = await store.claim("j1", "b", limit=9, ttl_seconds=TTL)
    assert [lease.ordinal for lease in first] == [0, 1]
    assert [lease.ordinal for lease in rest] == [2, 3, 4]
    assert await store.claim("j1", "a", limit=9, ttl_seconds=TTL) == []


async def test_claims_at_once_never_share_a_shard(store: Store) -> None:
    await open_planned(store, shards=10)
    claims = await asyncio.gather(
        *(store.claim("j1", f"w{n}", limit=3, ttl_seconds=TTL) for n in range(5))
    )
    leased = [lease.shard_id for leases in claims for lease in leases]
    assert len(leased) == len(set(leased)) == 10


async def test_a_lease_may_be_claimed_at_the_instant_it_expires(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store)
    lease = await claim_one(store, "a")
    fake_clock.set(START + TTL - 0.001)
    assert await store.claim("j1", "b", limit=1, ttl_seconds=TTL) == []
    fake_clock.set(START + TTL)
    taken = await claim_one(store, "b")
    assert (taken.shard_id, taken.fence) == (lease.shard_id, lease.fence + 1)


async def test_the_same_owner_gets_a_new_fence_too(store: Store, fake_clock: FakeClock) -> None:
    await open_planned(store)
    await claim_one(store, "a")
    assert await store.claim("j1", "a", limit=1, ttl_seconds=TTL) == []
    fake_clock.set(START + TTL)
    assert (await claim_one(store, "a")).fence == 2


async def test_a_new_owner_reads_what_was_done_and_what_may_have_been_sent(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store)
    lease = await claim_one(store, "a")
    attempts = ShardEvent(fence=1, done=(3, 0, 1), attempts={2: 4}, cuts=(2, 3))
    dead = make_checkpoint(lease, 2, dead={2: make_dead(2)}, sent=6)
    await store.checkpoint(
        "j1", [make_checkpoint(lease, 1, done=[3, 0, 1], event=attempts, sent=5), dead]
    )
    fake_clock.set(START + TTL)
    second = await claim_one(store, "b")
    assert second.events == (attempts, dead.event)
    assert (second.sent_fence, second.sent_through) == (1, 6)
    fake_clock.set(START + 2 * TTL)  # died before its first checkpoint
    third = await claim_one(store, "c")
    assert (third.fence, third.sent_fence, third.sent_through) == (3, 1, 6)
    await store.checkpoint("j1", [make_checkpoint(third, 0, sent=2)])
    fake_clock.set(START + 3 * TTL)
    fourth = await claim_one(store, "d")
    assert (fourth.sent_fence, fourth.sent_through) == (3, 2)
    assert [event.fence for event in fourth.events] == [1, 1, 3]


async def test_a_shard_given_back_is_claimable_and_ended_cleanly(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store, "a")
    await store.checkpoint("j1", [make_checkpoint(lease, 1, done=[0], sent=5)])
    await store.checkpoint("j1", [make_checkpoint(lease, 2, sent=5, released=True)])
    again = await claim_one(store, "b")
    assert (again.fence, again.sent_fence, again.sent_through) == (2, 1, 0)


async def test_a_finished_shard_is_never_claimed(store: Store, fake_clock: FakeClock) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, done=range(4), finished=True)])
    fake_clock.set(START + 2 * TTL)
    assert await store.claim("j1", "b", limit=1, ttl_seconds=TTL) == []
    assert await store.renew("a", [lease.shard_id], TTL) == set()


@pytest.mark.parametrize("event", [JobEvent.PAUSE, JobEvent.CANCEL])
async def test_a_job_that_is_not_open_gives_no_lease_and_takes_results(
    store: Store, event: JobEvent
) -> None:
    await open_planned(store, shards=2)
    lease = await claim_one(store)
    await store.move("j1", event)
    assert await store.claim("j1", "b", limit=9, ttl_seconds=TTL) == []
    assert await store.renew("a", [lease.shard_id], TTL) == {lease.shard_id}
    assert await store.checkpoint("j1", [make_checkpoint(lease, done=[0])]) == set()
    assert (await store.tally("j1")).pieces_done == 1


async def test_the_first_lease_starts_the_job(store: Store, fake_clock: FakeClock) -> None:
    await store.open_job(make_job(), fresh=False)
    assert await store.claim("j1", "a", limit=1, ttl_seconds=TTL) == []
    assert (await store.job("j1")).started_at is None
    fence = await fenced_plan(store)
    for ordinal in range(2):
        shard = make_shard(ordinal)
        await store.add_shard("j1", fence, shard, next_row=ordinal * 4 + 4, planned=False)
    fake_clock.set(START + 1.5)
    await claim_one(store)
    fake_clock.set(START + 9)
    await claim_one(store)
    started_at = datetime.fromtimestamp(EPOCH_WALL + 1.5, tz=UTC)
    assert (await store.job("j1")).started_at == started_at


async def test_a_renewed_lease_lasts_longer(store: Store, fake_clock: FakeClock) -> None:
    await open_planned(store, shards=2)
    leases = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    ids = [lease.shard_id for lease in leases]
    fake_clock.set(START + 20)
    assert await store.renew("a", ids[:1], TTL) == {ids[0]}
    fake_clock.set(START + TTL)
    assert [lease.shard_id for lease in await store.claim("j1", "b", limit=9, ttl_seconds=TTL)] == [
        ids[1]
    ]
    assert await store.renew("a", ids, TTL) == {ids[0]}
    assert await store.renew("b", [*ids, 10**9], TTL) == {ids[1]}
    assert await store.renew("a", [], TTL) == set()


async def test_an_expired_lease_that_nobody_took_is_still_renewed(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store)
    lease = await claim_one(store, "a")
    fake_clock.set(START + 2 * TTL)
    assert await store.renew("a", [lease.shard_id], TTL) == {lease.shard_id}
    assert await store.claim("j1", "b", limit=1, ttl_seconds=TTL) == []


async def test_the_leases_of_dead_owners_are_claimable_at_once(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await fenced_plan(store, "dead")
    for ordinal in range(4):
        shard = make_shard(ordinal)
        await store.add_shard("j1", fence, shard, next_row=ordinal * 4 + 4, planned=False)
    lost = await store.claim("j1", "dead", limit=2, ttl_seconds=TTL)
    await store.checkpoint("j1", [make_checkpoint(lost[0], done=[0], sent=7)])
    kept = await claim_one(store, "me")
    assert await store.reclaim("j1", except_owner="me") == 2
    assert await store.lease_plan("j1", "me", TTL) == fence + 1
    claimed = await store.claim("j1", "me", limit=9, ttl_seconds=TTL)
    assert [lease.ordinal for lease in claimed] == [0, 1, 3]
    assert (claimed[0].fence, claimed[0].sent_fence, claimed[0].sent_through) == (2, 1, 7)
    assert await store.renew("dead", [lease.shard_id for lease in lost], TTL) == set()
    assert await store.renew("me", [kept.shard_id], TTL) == {kept.shard_id}
    assert await store.reclaim("j1", except_owner="me") == 0
    assert await store.lease_plan("j1", "other", TTL) is None


async def test_the_leases_of_workers_that_live_are_not_reclaimed(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store, shards=5)
    start = datetime.fromtimestamp(EPOCH_WALL, tz=UTC)
    for name in ("w_%", "gone"):
        worker = WorkerCard(name=name, host="h", pid=1, version="0", started_at=start)
        await store.beat(worker, 99 if name == "w_%" else 5)
    owners = ["w_%", "w_%/1", "w_%1", "wx%/1", "gone/1"]
    leases = {owner: await claim_one(store, owner) for owner in owners}
    fake_clock.set(START + 5)
    assert await store.reclaim("j1", except_owner="me") == 3
    for owner, lease in leases.items():
        held = {lease.shard_id} if owner in {"w_%", "w_%/1"} else set()
        assert await store.renew(owner, [lease.shard_id], TTL) == held, owner


async def fenced_plan(store: Store, owner: str = "planner") -> int:
    fence = await store.lease_plan("j1", owner, TTL)
    assert fence is not None
    return fence


async def test_what_the_dead_held_may_be_claimed_alone(store: Store, fake_clock: FakeClock) -> None:
    await open_planned(store, shards=3)
    first = await claim_one(store, owner="a")
    second = await claim_one(store, owner="b")
    await store.checkpoint("j1", [make_checkpoint(second, released=True)])
    assert await store.claim("j1", "c", limit=9, ttl_seconds=TTL, expired_only=True) == []
    fake_clock.set(START + TTL)
    (lease,) = await store.claim("j1", "c", limit=9, ttl_seconds=TTL, expired_only=True)
    assert (lease.shard_id, lease.fence) == (first.shard_id, first.fence + 1)
    assert await store.claim("j1", "c", limit=9, ttl_seconds=TTL, expired_only=True) == []
