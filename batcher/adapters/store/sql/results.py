"""The verbs of :class:`batcher.ports.ShardStore` that read what is done, in SQL."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, tuple_

from batcher.adapters.store.checksum import is_payload, is_plan, is_results
from batcher.adapters.store.codec import dead_value, event_value
from batcher.adapters.store.damage import damaged_shard
from batcher.adapters.store.sql.jobs import JOBS_AT_ONCE, must_exist
from batcher.adapters.store.sql.tables import CHECKPOINT, DEAD_LETTER, PAYLOAD, SHARD
from batcher.core.model import FailureCount
from batcher.core.progress import ShardEvent, in_force, replay
from batcher.ports import ShardOutline, StoredShard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import Connection, Row

    from batcher.adapters.store.database import Database
    from batcher.core.errors import DamagedStore
    from batcher.core.model import DeadLetter
    from batcher.core.progress import ShardEvent

_BEFORE_ALL = -1
_PAGE_LETTERS = 1_000
_NEXT_PLAN = (
    select(SHARD.c.id, SHARD.c.ordinal, SHARD.c.first_row, SHARD.c.rows)
    .add_columns(PAYLOAD.c.payload, PAYLOAD.c.checksum)
    .join(PAYLOAD, PAYLOAD.c.shard_id == SHARD.c.id)
    .where(SHARD.c.job_id == bindparam("of"), SHARD.c.ordinal > bindparam("past"))
    .order_by(SHARD.c.ordinal)
    .limit(1)
)
_NEXT_SHARD = _NEXT_PLAN.add_columns(PAYLOAD.c.columns)
_BEFORE_ROW = select(func.max(SHARD.c.ordinal)).where(
    SHARD.c.job_id == bindparam("of"), SHARD.c.first_row + SHARD.c.rows <= bindparam("row")
)
_RESULTS = (
    select(CHECKPOINT.c.event, CHECKPOINT.c.results, CHECKPOINT.c.bills, CHECKPOINT.c.checksum)
    .where(CHECKPOINT.c.shard_id == bindparam("of"))
    .order_by(CHECKPOINT.c.fence, CHECKPOINT.c.seq)
)
_EVENTS = (
    select(CHECKPOINT.c.event)
    .where(CHECKPOINT.c.shard_id == bindparam("of"))
    .order_by(CHECKPOINT.c.fence, CHECKPOINT.c.seq)
)
_COUNT = func.count().label("letters")
_FAILURES = (
    select(DEAD_LETTER.c.job_id, DEAD_LETTER.c.code, DEAD_LETTER.c.final, _COUNT)
    .where(DEAD_LETTER.c.job_id.in_(bindparam("of", expanding=True)))
    .group_by(DEAD_LETTER.c.job_id, DEAD_LETTER.c.code, DEAD_LETTER.c.final)
    .order_by(_COUNT.desc(), DEAD_LETTER.c.code, DEAD_LETTER.c.final)
)
_DEAD_ROWS = select(DEAD_LETTER.c.row_number).where(DEAD_LETTER.c.shard_id == bindparam("of"))


class SqlResults:
    """Shards and dead letters, each page of them in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def shards(self, job_id: str, *, from_row: int = 0) -> AsyncIterator[StoredShard]:
        """See :meth:`batcher.ports.ShardStore.shards`."""
        past = _BEFORE_ALL
        if from_row:
            past = await self._database.read(partial(_before, job_id=job_id, row=from_row))
        while shard := await self._database.read(partial(_shard, job_id=job_id, past=past)):
            yield shard
            past = shard.ordinal

    async def outlines(self, job_id: str) -> AsyncIterator[ShardOutline]:
        """See :meth:`batcher.ports.ShardStore.outlines`."""
        past = _BEFORE_ALL
        while outline := await self._database.read(partial(_outline, job_id=job_id, past=past)):
            yield outline
            past = outline.ordinal

    async def shard(self, job_id: str, ordinal: int) -> StoredShard | None:
        """See :meth:`batcher.ports.ShardStore.shard`."""

        def work(connection: Connection) -> StoredShard | None:
            of = {"of": job_id, "past": ordinal - 1}
            found = connection.execute(_NEXT_SHARD, of).first()
            if found is None or found.ordinal != ordinal:
                return None
            return _stored(connection, found, job_id)

        return await self._database.read(work)

    async def dead_letters(self, job_id: str) -> AsyncIterator[DeadLetter]:
        """See :meth:`batcher.ports.ShardStore.dead_letters`."""
        past = (_BEFORE_ALL, _BEFORE_ALL)
        while page := await self._database.read(partial(_letters, job_id=job_id, past=past)):
            for letter in page:
                yield letter
            past = (page[-1].row, page[-1].chunk)

    async def failures(self, job_id: str) -> list[FailureCount]:
        """See :meth:`batcher.ports.ShardStore.failures`."""
        return (await self.failures_of([job_id])).get(job_id, [])

    async def failures_of(self, job_ids: Sequence[str]) -> dict[str, list[FailureCount]]:
        """See :meth:`batcher.ports.ShardStore.failures_of`."""
        found: dict[str, list[FailureCount]] = {}
        for first in range(0, len(job_ids), JOBS_AT_ONCE):
            some = job_ids[first : first + JOBS_AT_ONCE]
            found |= await self._database.read(partial(_failures, job_ids=some))
        return found


def _before(connection: Connection, *, job_id: str, row: int) -> int:
    """The ordinal of the last shard all of whose rows come before that one."""
    last = connection.scalar(_BEFORE_ROW, {"of": job_id, "row": row})
    return _BEFORE_ALL if last is None else int(last)


def _failures(connection: Connection, *, job_ids: Sequence[str]) -> dict[str, list[FailureCount]]:
    found: dict[str, list[FailureCount]] = {}
    for job_id, code, final, letters in connection.execute(_FAILURES, {"of": list(job_ids)}):
        counted = FailureCount(code=code, final=final, dead_letters=letters)
        found.setdefault(job_id, []).append(counted)
    return found


def _shard(connection: Connection, *, job_id: str, past: int) -> StoredShard | None:
    if past == _BEFORE_ALL:
        must_exist(connection, job_id)
    shard = connection.execute(_NEXT_SHARD, {"of": job_id, "past": past}).first()
    return None if shard is None else _stored(connection, shard, job_id)


def _outline(connection: Connection, *, job_id: str, past: int) -> ShardOutline | None:
    if past == _BEFORE_ALL:
        must_exist(connection, job_id)
    shard = connection.execute(_NEXT_PLAN, {"of": job_id, "past": past}).first()
    if shard is None:
        return None
    of = {"of": shard.id}
    if not is_payload(shard.payload, shard.checksum):
        raise damaged_shard(job_id, shard.ordinal, shard.first_row, shard.rows, "ids and texts")
    progress = replay(event_value(text) for text in connection.scalars(_EVENTS, of))
    return ShardOutline(
        ordinal=shard.ordinal,
        first_row=shard.first_row,
        rows=shard.rows,
        payload=shard.payload,
        done=frozenset(progress.done),
        dead_rows=frozenset(connection.scalars(_DEAD_ROWS, of)),
    )


def _stored(connection: Connection, shard: Row[Any], job_id: str) -> StoredShard:
    of = {"of": shard.id}
    place = (job_id, shard.ordinal, shard.first_row, shard.rows)
    damage: DamagedStore | None = None
    checkpoints: list[tuple[ShardEvent, bytes]] = []
    bills: list[bytes] = []
    for text, blob, bill, checksum in connection.execute(_RESULTS, of):
        if not is_results(text, blob, bill, checksum):
            damage = damaged_shard(*place, "results")
            continue
        checkpoints.append((event_value(text), blob))
        if bill is not None:
            bills.append(bill)
    sound = is_plan(shard.payload, shard.columns, shard.checksum)
    return StoredShard(
        ordinal=shard.ordinal,
        first_row=shard.first_row,
        rows=shard.rows,
        payload=shard.payload if sound else b"",
        columns=shard.columns if sound else None,
        results=in_force(checkpoints),
        bills=tuple(bills),
        dead_rows=frozenset(connection.scalars(_DEAD_ROWS, of)),
        damage=damage if sound else damaged_shard(*place, "ids and columns"),
    )


def _letters(connection: Connection, *, job_id: str, past: tuple[int, int]) -> list[DeadLetter]:
    if past == (_BEFORE_ALL, _BEFORE_ALL):
        must_exist(connection, job_id)
    key = tuple_(DEAD_LETTER.c.row_number, DEAD_LETTER.c.chunk)
    page = (
        select(DEAD_LETTER)
        .where(DEAD_LETTER.c.job_id == job_id, key > past)
        .order_by(DEAD_LETTER.c.row_number, DEAD_LETTER.c.chunk)
        .limit(_PAGE_LETTERS)
    )
    return [dead_value(row) for row in connection.execute(page).mappings()]
