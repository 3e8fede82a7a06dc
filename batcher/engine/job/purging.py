"""Which jobs may be deleted, and their deletion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from batcher.core.errors import JobInUse
from batcher.core.model import JobState
from batcher.ports import (
    DeliveryReads,
    FleetReads,
    JobPurges,
    JobReads,
    OrderPurges,
    PlanLeases,
)

_ALL = 1_000_000
_REMOVER = "remover"
_REMOVING_SECONDS = 30.0


class Purged(JobReads, JobPurges, DeliveryReads, OrderPurges, Protocol):
    """What whoever deletes what is over needs of a store."""


class Removed(JobReads, JobPurges, DeliveryReads, FleetReads, PlanLeases, Protocol):
    """What whoever deletes one job needs of a store: to know that nobody uses it."""


async def purge(store: Purged, deadline: float) -> list[str]:
    """Delete complete and cancelled jobs that ended by ``deadline``, Unix time; returns their ids.

    One whose results another job is still carrying over stays, and one that is to be delivered and
    is not yet.
    """
    latest = datetime.fromtimestamp(max(deadline, 0.0), UTC)  # no job ended before 1970
    jobs = await store.jobs(limit=_ALL)
    unplanned = (job for job in jobs if job.finished_at is None and not job.planned)
    needed = {since.job for job in unplanned if (since := job.description.since)}
    ended = [job for job in jobs if job.finished_at is not None and job.finished_at <= latest]
    deliveries = await store.deliveries([job.id for job in ended])
    needed |= {
        job.id
        for job in ended
        if job.state is JobState.COMPLETE
        and (delivery := deliveries.get(job.id)) is not None
        and delivery.delivered_at is None
    }
    purged = [job.id for job in ended if job.id not in needed]
    await store.purge_all(purged)
    await store.purge_orders(latest)
    return purged


async def remove(store: Removed, job_id: str) -> None:
    """Delete one job, whatever its state; nobody else runs it on one machine.

    Raises:
        JobInUse: workers hold parts of it, plan it or deliver it, or another job carries its
            results over.
    """
    delivery = await store.delivery(job_id)
    if delivery is not None and delivery.leased:
        raise JobInUse(f"job {job_id} is being delivered: try again when it has been")
    workers = [worker for worker in await store.workers() if worker.alive]
    held = [worker.card.name for worker in workers if job_id in worker.holds]
    if held:
        raise JobInUse(
            f"job {job_id} is being worked on by {', '.join(held)}: "
            f"`batcher pause {job_id}` first, or `batcher cancel {job_id}`"
        )
    job = await store.job(job_id)
    if not job.planned and await store.lease_plan(job_id, _REMOVER, _REMOVING_SECONDS) is None:
        raise JobInUse(f"job {job_id} is being planned elsewhere: `batcher cancel {job_id}` first")
    for other in await store.jobs(limit=_ALL):
        if other.finished_at is None and not other.planned:
            since = other.description.since
            if since is not None and since.job == job_id:
                raise JobInUse(
                    f"job {other.id} carries results of job {job_id} over: let it end first"
                )
    await store.purge_all([job_id])
