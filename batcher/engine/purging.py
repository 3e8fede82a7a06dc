"""Which jobs a purge deletes, and their deletion."""

from __future__ import annotations

from datetime import UTC, datetime

from batcher.engine.description import Description
from batcher.ports import Store

_ALL = 1_000_000


async def purge(store: Store, deadline: float) -> list[str]:
    """Delete complete and cancelled jobs that ended by ``deadline``, Unix time; returns their ids.

    One whose results another job is still carrying over stays.
    """
    latest = datetime.fromtimestamp(deadline, UTC)
    jobs = await store.jobs(limit=_ALL)
    unplanned = (job for job in jobs if job.finished_at is None and not job.planned)
    needed = {since.job for job in unplanned if (since := Description.read(job).since)}
    purged = [
        job.id
        for job in jobs
        if (ended := job.finished_at) is not None and ended <= latest and job.id not in needed
    ]
    await store.purge_all(purged)
    await store.purge_orders(latest)
    return purged
