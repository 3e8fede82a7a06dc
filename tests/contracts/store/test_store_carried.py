"""Jobs that have a name, and shards that begin with results of another job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batcher.core.model import Job, JobEvent, JobState
from batcher.core.progress import ShardEvent
from batcher.ports import Carried, NewShard
from tests.store.making import TTL, claim_one, make_checkpoint, make_dead, make_job, make_shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batcher.ports import Store
    from tests.fakes import FakeClock


def named(job_id: str, name: str | None, *, fingerprint: str = "f") -> Job:
    return replace(make_job(job_id, fingerprint=fingerprint), name=name)


async def complete(store: Store, job: Job) -> None:
    """Open a job, plan nothing, and declare it complete."""
    await store.open_job(job, fresh=True)
    fence = await store.lease_plan(job.id, "planner", TTL)
    assert fence is not None
    assert await store.add_shard(job.id, fence, None, next_row=0, planned=True)
    assert await store.complete(job.id)


def carrying(ordinal: int, *pieces: int, rows: int = 4) -> NewShard:
    """A shard of which these pieces, a row each, are carried over."""
    blob = b",".join(b"%d" % piece for piece in pieces)
    carried = Carried(pieces=pieces, rows=len(pieces), results=blob)
    return replace(
        make_shard(ordinal, rows=rows), carried=carried, rows_changed=1, rows_failed_before=2
    )


async def plan(store: Store, shards: Sequence[NewShard], job_id: str = "j1") -> None:
    await store.open_job(make_job(job_id), fresh=False)
    fence = await store.lease_plan(job_id, "planner", TTL)
    assert fence is not None
    for shard in shards:
        end = shard.first_row + shard.rows
        last = shard is shards[-1]
        assert await store.add_shard(job_id, fence, shard, next_row=end, planned=last)


# --- names ------------------------------------------------------------------------------------


async def test_the_last_complete_job_of_a_name_is_the_one_that_ended_last(
    store: Store, fake_clock: FakeClock
) -> None:
    assert await store.last_complete("nightly") is None
    await store.open_job(named("j4", "nightly", fingerprint="open"), fresh=False)
    assert await store.last_complete("nightly") is None
    for job_id, name in (("j2", "nightly"), ("j1", "nightly"), ("j3", "other"), ("j0", None)):
        await complete(store, named(job_id, name, fingerprint=job_id))
        await fake_clock.advance(10)
    last = await store.last_complete("nightly")
    assert last is not None
    assert (last.id, last.name, last.state) == ("j1", "nightly", JobState.COMPLETE)
    await store.move("j1", JobEvent.RETRY)
    assert (await store.last_complete("nightly") or make_job()).id == "j2"
    await store.purge("j2")
    assert await store.last_complete("nightly") is None


async def test_a_job_of_another_name_is_another_job(store: Store) -> None:
    first, made = await store.open_job(named("j1", "one"), fresh=False)
    assert (first.name, made) == ("one", True)
    second, made = await store.open_job(named("j2", "two"), fresh=False)
    assert (second.id, second.generation, made) == ("j2", 2, True)
    again, made = await store.open_job(named("j3", "one"), fresh=False)
    assert (again.id, made) == ("j1", False)
    nameless, made = await store.open_job(named("j4", None), fresh=False)
    assert (nameless.id, nameless.name, made) == ("j2", "two", False)


async def test_a_job_without_a_name_takes_the_one_that_it_is_asked_for_by(store: Store) -> None:
    await store.open_job(named("j1", None), fresh=False)
    job, made = await store.open_job(named("j2", "nightly"), fresh=False)
    assert (job.id, job.name, made) == ("j1", "nightly", False)
    assert (await store.job("j1")).name == "nightly"
    other, made = await store.open_job(named("j3", "weekly"), fresh=False)
    assert (other.id, made) == ("j3", True)


# --- what is carried over ---------------------------------------------------------------------


async def test_what_is_carried_over_counts_as_done_before_any_lease(
    store: Store, fake_clock: FakeClock
) -> None:
    await plan(store, [carrying(0, 1, 3)])
    tally = await store.tally("j1")
    assert (tally.rows_done, tally.pieces_done, tally.rows_carried) == (2, 2, 2)
    assert (tally.rows_changed, tally.rows_failed_before) == (1, 2)
    assert tally.usage.requests == tally.usage.cost_picousd == 0
    started = (await store.job("j1")).started_at
    assert started is not None
    assert started.timestamp() == fake_clock.wall()

    lease = await claim_one(store)
    assert lease.events == (ShardEvent(fence=0, done=(1, 3)),)
    assert (lease.fence, lease.sent_fence, lease.sent_through) == (1, 0, 0)
    await store.checkpoint("j1", [make_checkpoint(lease, done=[0, 2], finished=True)])
    (shard,) = [shard async for shard in store.shards("j1")]
    assert shard.results == (((1, 3), b"1,3"), ((0, 2), b"0,2"))
    assert await store.complete("j1")


async def test_a_shard_that_is_carried_whole_is_never_leased(store: Store) -> None:
    await plan(store, [carrying(0, 0, 1, 2, 3), carrying(1, 0, 1, 2, 3)])
    assert await store.claim("j1", "a", limit=9, ttl_seconds=TTL) == []
    assert (await store.tally("j1")).rows_done == 8
    assert await store.complete("j1")
    assert (await store.job("j1")).started_at is not None


async def test_a_carried_shard_sent_again_counts_once(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await store.lease_plan("j1", "planner", TTL)
    assert fence is not None
    for _ in range(2):
        assert await store.add_shard("j1", fence, carrying(0, 1), next_row=4, planned=False)
    assert (await store.tally("j1")).rows_carried == 1


async def test_a_stale_planner_carries_nothing_over(store: Store, fake_clock: FakeClock) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await store.lease_plan("j1", "planner", TTL)
    assert fence is not None
    await fake_clock.advance(TTL)
    assert await store.lease_plan("j1", "another", TTL)
    assert not await store.add_shard("j1", fence, carrying(0, 1), next_row=4, planned=False)
    assert [shard async for shard in store.shards("j1")] == []
    assert (await store.job("j1")).started_at is None


async def test_a_retry_leaves_what_was_carried_over(store: Store) -> None:
    await plan(store, [carrying(0, 1, 3)])
    lease = await claim_one(store)
    dead = make_checkpoint(lease, done=[0], dead={2: make_dead(2)}, finished=True)
    await store.checkpoint("j1", [dead])
    assert await store.complete("j1")
    assert await store.reopen_dead("j1") == 1
    again = await claim_one(store)
    assert again.events[0] == ShardEvent(fence=0, done=(1, 3))
    assert again.events[-1].reopened == (2,)


# --- reading without results ------------------------------------------------------------------


async def test_outlines_are_the_shards_without_their_results(store: Store) -> None:
    await plan(store, [carrying(0, 1, 3), make_shard(1)])
    first = await claim_one(store)
    checkpoint = make_checkpoint(first, done=[0], dead={2: make_dead(2)}, finished=True)
    await store.checkpoint("j1", [checkpoint])
    one, two = [outline async for outline in store.outlines("j1")]
    assert (one.ordinal, one.first_row, one.rows, one.outline) == (0, 0, 4, b"outline 0")
    assert (one.contents, two.contents) == (b"\1" * 64, b"\2" * 64)
    assert (one.done, one.dead_rows) == (frozenset({0, 1, 3}), frozenset({2}))
    assert (two.ordinal, two.first_row, two.done, two.dead_rows) == (1, 4, frozenset(), frozenset())


async def test_one_shard_can_be_read_alone(store: Store) -> None:
    await plan(store, [carrying(0, 1), carrying(1, 2)])
    shards = [shard async for shard in store.shards("j1")]
    assert [await store.shard("j1", ordinal) for ordinal in (0, 1)] == shards
    assert await store.shard("j1", 2) is None
    await store.purge("j1")
    assert await store.shard("j1", 0) is None
