"""What every store promises of jobs that are deleted (`batcher.ports.JobStore`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batcher.core.model import Tally
from tests.store.making import (
    claim_one,
    make_checkpoint,
    make_dead,
    make_job,
    open_planned,
)

if TYPE_CHECKING:
    from batcher.ports import Store


async def test_a_purged_job_is_gone_and_no_other(store: Store) -> None:
    await open_planned(store, shards=20)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, done=[0], dead={1: make_dead(1)})])
    kept, _ = await store.open_job(make_job("k1", fingerprint="g"), fresh=False)
    await store.purge("j1")
    assert await store.jobs() == [kept]
    assert await store.checkpoint("j1", [make_checkpoint(lease, 2)]) == {lease.shard_id}
    assert await store.renew("a", [lease.shard_id], 30) == set()
    await store.purge("j1")
    reopened, made = await store.open_job(make_job("j1"), fresh=False)
    assert made
    assert reopened.generation == 1
    assert await store.tally("j1") == Tally()


async def test_many_jobs_are_purged_and_no_other(store: Store) -> None:
    await store.open_job(make_job("j0", fingerprint="f0"), fresh=False)
    for number in range(1, 6):
        name, fingerprint = f"j{number}", f"f{number}"
        await open_planned(store, shards=number * 3, job_id=name, fingerprint=fingerprint)
    await store.purge_all([f"j{number}" for number in (0, 1, 2, 4, 5, 9)])
    assert [job.id for job in await store.jobs()] == ["j3"]
    assert len([shard async for shard in store.shards("j3")]) == 9
    await store.purge_all([])


async def test_giving_space_back_harms_nothing(store: Store) -> None:
    await open_planned(store, shards=9, job_id="j1", fingerprint="f1")
    await open_planned(store, shards=3, job_id="j2", fingerprint="f2")
    await store.purge("j1")
    assert (await store.give_back()).free_bytes == 0
    assert len([shard async for shard in store.shards("j2")]) == 3
    await open_planned(store, shards=2, job_id="j3", fingerprint="f3")
