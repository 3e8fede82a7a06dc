"""Which jobs are deleted: what is over and needed by nobody; and one, if nobody uses it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from batcher.adapters.store.memory.store import MemoryStore
from batcher.core.errors import JobInUse, UsageError
from batcher.core.job.since import Since
from batcher.core.model import JobEvent
from batcher.engine.job.purging import purge, remove
from batcher.ports import WorkerCard
from tests.fakes import FakeClock
from tests.store.making import TTL, claim_one, make_job, open_planned


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


async def ended(store: MemoryStore, job_id: str, event: JobEvent = JobEvent.CANCEL) -> None:
    await store.open_job(make_job(job_id, fingerprint=job_id), fresh=False)
    await store.move(job_id, event)


async def comparing(store: MemoryStore, job_id: str, former: str) -> None:
    """A job that is not planned yet, and compared with another."""
    job = make_job(job_id, fingerprint=job_id)
    described = replace(job.description, since=Since(job=former))
    await store.open_job(replace(job, description=described), fresh=False)


async def test_what_ended_by_then_is_deleted_and_nothing_else(
    store: MemoryStore, clock: FakeClock
) -> None:
    await ended(store, "cancelled")
    await ended(store, "complete", JobEvent.COMPLETE)
    deadline = clock.wall()
    await clock.advance(1.0)
    await ended(store, "later")
    await store.open_job(make_job("open", fingerprint="open"), fresh=False)
    assert sorted(await purge(store, deadline)) == ["cancelled", "complete"]
    assert sorted(job.id for job in await store.jobs()) == ["later", "open"]
    assert await purge(store, deadline) == []


async def test_what_is_carried_over_or_to_be_delivered_stays(
    store: MemoryStore, clock: FakeClock
) -> None:
    for job_id in ("former", "undelivered"):
        await ended(store, job_id, JobEvent.COMPLETE)
    await ended(store, "cancelled")
    for job_id in ("undelivered", "cancelled"):
        await store.set_delivery(job_id, {"output": "out.jsonl"})
    await comparing(store, "tonight", "former")
    assert await purge(store, clock.wall()) == ["cancelled"]
    lease = await store.claim_delivery("undelivered", "a worker", TTL)
    assert lease is not None
    await store.settle_delivery("undelivered", lease.fence, files=["out.jsonl"])
    assert await purge(store, clock.wall()) == ["undelivered"]


async def removed(store: MemoryStore, job_id: str) -> bool:
    """Whether the job could be deleted."""
    try:
        await remove(store, job_id)
    except JobInUse:
        await store.job(job_id)
        return False
    with pytest.raises(UsageError):
        await store.job(job_id)
    return True


async def test_one_is_deleted_in_any_state(store: MemoryStore) -> None:
    await open_planned(store)
    await ended(store, "cancelled")
    assert await removed(store, "j1")
    assert await removed(store, "cancelled")


async def test_one_that_a_living_worker_holds_is_not(store: MemoryStore, clock: FakeClock) -> None:
    await open_planned(store)
    started_at = datetime.fromtimestamp(clock.wall(), UTC)
    card = WorkerCard(name="w", host="h", pid=1, version="0", started_at=started_at)
    await store.beat(card, TTL)
    await claim_one(store, owner="w/1")
    assert not await removed(store, "j1")
    await clock.advance(TTL)
    assert await removed(store, "j1"), "it is known to be dead"


async def test_one_that_is_planned_delivered_or_carried_over_is_not(
    store: MemoryStore, clock: FakeClock
) -> None:
    await store.open_job(make_job("planned", fingerprint="p"), fresh=False)
    await store.lease_plan("planned", "a worker", TTL)
    assert not await removed(store, "planned")
    await ended(store, "delivered", JobEvent.COMPLETE)
    await store.set_delivery("delivered", {"output": "out.jsonl"})
    await store.claim_delivery("delivered", "a worker", TTL)
    assert not await removed(store, "delivered")
    await ended(store, "former", JobEvent.COMPLETE)
    await comparing(store, "tonight", "former")
    assert not await removed(store, "former")
    await clock.advance(TTL)
    assert await removed(store, "planned")
    assert await removed(store, "delivered")
    await store.move("tonight", JobEvent.CANCEL)
    assert await removed(store, "former")
