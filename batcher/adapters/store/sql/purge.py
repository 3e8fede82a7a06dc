"""The verbs of :class:`batcher.ports.JobStore` that delete jobs, in SQL.

Transactions that delete are kept short by their time, not their number of rows: a shard may be ten
rows or ten megabytes. Measured on a shared two-core machine: 10,000 jobs of one small shard each in
1 to 2 s on SQLite.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, select, update

from batcher.adapters.store.sql.tables import (
    CHECKPOINT,
    DEAD_LETTER,
    DELIVERY,
    HASHES,
    JOB,
    ORDER,
    PAYLOAD,
    PROMPTS,
    SHARD,
)
from batcher.core.model import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from batcher.adapters.store.database import Database
    from batcher.ports import Space

_JOBS_AT_ONCE = 500
_FEWEST_SHARDS = 8
_MOST_SHARDS = 2_000
_SHORT_SECONDS = 0.05
_LONG_SECONDS = 0.2


class SqlPurge:
    """Deleting jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def purge(self, job_id: str) -> None:
        """See :meth:`batcher.ports.JobStore.purge`."""
        await self.purge_all([job_id])

    async def purge_all(self, job_ids: Sequence[str]) -> None:
        """See :meth:`batcher.ports.JobStore.purge_all`."""
        shards = _FEWEST_SHARDS
        for first in range(0, len(job_ids), _JOBS_AT_ONCE):
            ids = job_ids[first : first + _JOBS_AT_ONCE]
            await self._database.write(partial(_bar, ids=ids))
            while True:
                gone, seconds = await self._database.write(
                    partial(_purge_some, ids=ids, shards=shards)
                )
                if gone:
                    break
                if seconds < _SHORT_SECONDS:
                    shards = min(2 * shards, _MOST_SHARDS)
                elif seconds > _LONG_SECONDS:
                    shards = max(shards // 2, _FEWEST_SHARDS)

    async def give_back(self) -> Space:
        """See :meth:`batcher.ports.JobStore.give_back`."""
        return await self._database.give_back()


def _bar(connection: Connection, *, ids: Sequence[str]) -> None:
    """Make jobs that are about to be purged ones that nobody resumes."""
    cancelled = update(JOB).where(JOB.c.id.in_(ids))
    connection.execute(cancelled.values(state=JobState.CANCELLED.value))


def _purge_some(connection: Connection, *, ids: Sequence[str], shards: int) -> tuple[bool, float]:
    """Delete some shards, with the last of them the jobs; whether they are gone, and the time."""
    began = time.monotonic()
    some = select(SHARD.c.id).where(SHARD.c.job_id.in_(ids)).order_by(SHARD.c.id)
    found = connection.scalars(some.limit(shards).with_for_update()).all()
    for table in (CHECKPOINT, PAYLOAD, PROMPTS, HASHES, DEAD_LETTER):
        connection.execute(delete(table).where(table.c.shard_id.in_(found)))
    connection.execute(delete(SHARD).where(SHARD.c.id.in_(found)))
    if len(found) == shards:
        return False, time.monotonic() - began
    connection.execute(select(JOB.c.id).where(JOB.c.id.in_(ids)).with_for_update())
    planned = exists().where(SHARD.c.job_id == JOB.c.id)  # in the meantime
    connection.execute(delete(DELIVERY).where(DELIVERY.c.job_id.in_(ids)))
    connection.execute(delete(JOB).where(JOB.c.id.in_(ids), ~planned))
    connection.execute(delete(ORDER).where(ORDER.c.job_id.in_(ids)))
    left = connection.scalar(select(JOB.c.id).where(JOB.c.id.in_(ids)).limit(1))
    return left is None, time.monotonic() - began
