"""The verbs of :class:`batcher.ports.ShardStore` that read what is done, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, tuple_

from batcher.adapters.store.codec import dead_value, event_value
from batcher.adapters.store.models import CHECKPOINT, DEAD_LETTER, PAYLOAD, SHARD
from batcher.adapters.store.sql_jobs import must_exist
from batcher.ports import StoredShard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batcher.adapters.store.database import Database
    from batcher.core.model import DeadLetter

_LETTERS = 1_000
_NEXT_SHARD = (
    select(SHARD.c.id, SHARD.c.ordinal, SHARD.c.first_row, SHARD.c.rows)
    .add_columns(PAYLOAD.c.payload, PAYLOAD.c.columns)
    .join(PAYLOAD, PAYLOAD.c.shard_id == SHARD.c.id)
    .where(SHARD.c.job_id == bindparam("of"), SHARD.c.ordinal > bindparam("past"))
    .order_by(SHARD.c.ordinal)
    .limit(1)
)
_RESULTS = (
    select(CHECKPOINT.c.event, CHECKPOINT.c.results)
    .where(CHECKPOINT.c.shard_id == bindparam("of"))
    .order_by(CHECKPOINT.c.fence, CHECKPOINT.c.seq)
)
_DEAD_ROWS = select(DEAD_LETTER.c.row_number).where(DEAD_LETTER.c.shard_id == bindparam("of"))


class SqlResults:
    """Shards and dead letters, each page of them in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def shards(self, job_id: str) -> AsyncIterator[StoredShard]:
        """See :meth:`batcher.ports.ShardStore.shards`."""
        async with self._database.reading() as connection:
            await must_exist(connection, job_id)
        shard = await self._shard(job_id, past=-1)
        while shard is not None:
            yield shard
            shard = await self._shard(job_id, past=shard.ordinal)

    async def _shard(self, job_id: str, *, past: int) -> StoredShard | None:
        async with self._database.reading() as connection:
            found = await connection.execute(_NEXT_SHARD, {"of": job_id, "past": past})
            shard = found.first()
            if shard is None:
                return None
            checkpoints = (await connection.execute(_RESULTS, {"of": shard.id})).all()
            dead_rows = (await connection.scalars(_DEAD_ROWS, {"of": shard.id})).all()
        events = ((event_value(text), blob) for text, blob in checkpoints)
        return StoredShard(
            ordinal=shard.ordinal,
            first_row=shard.first_row,
            rows=shard.rows,
            payload=shard.payload,
            columns=shard.columns,
            results=tuple((event.done, blob) for event, blob in events if event.done),
            dead_rows=frozenset(dead_rows),
        )

    async def dead_letters(self, job_id: str) -> AsyncIterator[DeadLetter]:
        """See :meth:`batcher.ports.ShardStore.dead_letters`."""
        key = tuple_(DEAD_LETTER.c.row_number, DEAD_LETTER.c.chunk)
        last = (-1, -1)
        more = True
        while more:
            page = (
                select(DEAD_LETTER)
                .where(DEAD_LETTER.c.job_id == job_id, key > last)
                .order_by(DEAD_LETTER.c.row_number, DEAD_LETTER.c.chunk)
                .limit(_LETTERS)
            )
            async with self._database.reading() as connection:
                if last == (-1, -1):
                    await must_exist(connection, job_id)
                rows = (await connection.execute(page)).mappings().all()
            for row in rows:
                yield dead_value(dict(row))
            more = len(rows) == _LETTERS
            if more:
                last = (rows[-1]["row_number"], rows[-1]["chunk"])
