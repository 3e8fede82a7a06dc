"""The verbs of :class:`batcher.ports.ShardStore` that read what is done, in SQL."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, bindparam, func, or_, select, tuple_

from batcher.adapters.store.checksum import (
    is_outline,
    is_outline_with_columns,
    is_prompts,
    is_results,
)
from batcher.adapters.store.codec import dead_value, event_value
from batcher.adapters.store.damage import damaged_prompts, damaged_shard, must_be
from batcher.adapters.store.sql.jobs import JOBS_AT_ONCE, must_exist
from batcher.adapters.store.sql.tables import (
    CHECKPOINT,
    DEAD_LETTER,
    HASHES,
    PAYLOAD,
    PROMPTS,
    SHARD,
)
from batcher.core.model import FailureCount
from batcher.core.progress import ShardEvent, in_force, replay
from batcher.ports import ShardOutline, StoredShard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import Connection, Row, Select

    from batcher.adapters.store.database import Database
    from batcher.core.errors import DamagedStore
    from batcher.core.model import DeadLetter
    from batcher.core.progress import ShardEvent

_BEFORE_ALL = -1
_PAGE_LETTERS = 1_000
_NEXT = (
    select(SHARD.c.id, SHARD.c.ordinal, SHARD.c.first_row, SHARD.c.rows)
    .add_columns(PAYLOAD.c.outline, PAYLOAD.c.checksum)
    .join(PAYLOAD, PAYLOAD.c.shard_id == SHARD.c.id)
    .where(SHARD.c.job_id == bindparam("of"), SHARD.c.ordinal > bindparam("past"))
    .order_by(SHARD.c.ordinal)
    .limit(1)
)
_NEXT_OUTLINE = _NEXT.add_columns(HASHES.c.contents).outerjoin(
    HASHES, HASHES.c.shard_id == SHARD.c.id
)
_NEXT_SHARD = _NEXT.add_columns(PAYLOAD.c.columns)
_LAST_BEFORE = (
    select(SHARD.c.ordinal, SHARD.c.first_row, SHARD.c.rows)
    .where(SHARD.c.job_id == bindparam("of"), SHARD.c.first_row <= bindparam("row"))
    .order_by(SHARD.c.ordinal.desc())
    .limit(1)
)
_PROMPTS = (
    select(SHARD.c.ordinal, PROMPTS.c.prompts, PROMPTS.c.checksum)
    .join(PROMPTS, PROMPTS.c.shard_id == SHARD.c.id)
    .where(SHARD.c.job_id == bindparam("of"), SHARD.c.ordinal == bindparam("at"))
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

    async def prompts(self, job_id: str, ordinal: int) -> bytes | None:
        """See :meth:`batcher.ports.ShardStore.prompts`."""

        def work(connection: Connection) -> bytes | None:
            found = connection.execute(_PROMPTS, {"of": job_id, "at": ordinal}).first()
            if found is None:
                return None
            if not is_prompts(found.prompts, found.checksum):
                raise damaged_prompts(job_id, ordinal)
            prompts: bytes = found.prompts
            return prompts

        return await self._database.read(work)

    async def shards_with_id(self, job_id: str, id_hash: bytes) -> list[int]:
        """See :meth:`batcher.ports.ShardStore.shards_with_id`."""

        def work(connection: Connection) -> list[int]:
            of = {"of": job_id, "hash": id_hash}
            return list(connection.scalars(_with_id(connection.dialect.name), of))

        return await self._database.read(work)

    async def shard(self, job_id: str, ordinal: int) -> StoredShard | None:
        """See :meth:`batcher.ports.ShardStore.shard`."""

        def work(connection: Connection) -> StoredShard | None:
            of = {"of": job_id, "past": ordinal - 1}
            found = connection.execute(_NEXT_SHARD, of).first()
            if found is None or found.ordinal != ordinal:
                return None
            return _stored(connection, found, job_id)

        return await self._database.read(work)

    async def dead_letters(
        self, job_id: str, *, after: tuple[int, int] | None = None
    ) -> AsyncIterator[DeadLetter]:
        """See :meth:`batcher.ports.ShardStore.dead_letters`."""
        past = after or (_BEFORE_ALL, _BEFORE_ALL)
        await self._database.read(partial(must_exist, job_id=job_id))
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


def _failures(connection: Connection, *, job_ids: Sequence[str]) -> dict[str, list[FailureCount]]:
    found: dict[str, list[FailureCount]] = {}
    for job_id, code, final, letters in connection.execute(_FAILURES, {"of": list(job_ids)}):
        counted = FailureCount(code=code, final=final, dead_letters=letters)
        found.setdefault(job_id, []).append(counted)
    return found


def _with_id(dialect: str) -> Select[int]:
    """The shards of a job with a hash among those of their ids, or with none to look among."""
    sought = bindparam("hash", type_=LargeBinary)
    if dialect == "postgresql":
        place = func.position(sought.op("IN")(HASHES.c.ids))
    else:
        place = func.instr(HASHES.c.ids, sought)
    kept = SHARD.outerjoin(HASHES, HASHES.c.shard_id == SHARD.c.id)
    return (
        select(SHARD.c.ordinal)
        .select_from(kept)
        .where(SHARD.c.job_id == bindparam("of"), or_(HASHES.c.shard_id.is_(None), place > 0))
        .order_by(SHARD.c.ordinal)
    )


def _before(connection: Connection, *, job_id: str, row: int) -> int:
    """The ordinal of the last shard all of whose rows come before that one."""
    must_exist(connection, job_id)
    if row <= 0:
        return _BEFORE_ALL
    found = connection.execute(_LAST_BEFORE, {"of": job_id, "row": row}).first()
    if found is None:
        return _BEFORE_ALL
    ordinal, first_row, rows = found
    return int(ordinal) - int(first_row + rows > row)


def _shard(connection: Connection, *, job_id: str, past: int) -> StoredShard | None:
    shard = connection.execute(_NEXT_SHARD, {"of": job_id, "past": past}).first()
    return None if shard is None else _stored(connection, shard, job_id)


def _outline(connection: Connection, *, job_id: str, past: int) -> ShardOutline | None:
    if past == _BEFORE_ALL:
        must_exist(connection, job_id)
    shard = connection.execute(_NEXT_OUTLINE, {"of": job_id, "past": past}).first()
    if shard is None:
        return None
    of = {"of": shard.id}
    must_be((bytes, type(None)), shard._mapping, "contents")
    if not is_outline(shard.outline, shard.checksum):
        raise damaged_shard(job_id, shard.ordinal, shard.first_row, shard.rows, "ids and requests")
    progress = replay(event_value(text) for text in connection.scalars(_EVENTS, of))
    return ShardOutline(
        ordinal=shard.ordinal,
        first_row=shard.first_row,
        rows=shard.rows,
        outline=shard.outline,
        contents=shard.contents,
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
    sound = is_outline_with_columns(shard.outline, shard.columns, shard.checksum)
    return StoredShard(
        ordinal=shard.ordinal,
        first_row=shard.first_row,
        rows=shard.rows,
        outline=shard.outline if sound else b"",
        columns=shard.columns if sound else None,
        results=in_force(checkpoints),
        bills=tuple(bills),
        dead_rows=frozenset(connection.scalars(_DEAD_ROWS, of)),
        damage=damage if sound else damaged_shard(*place, "ids and columns"),
    )


def _letters(connection: Connection, *, job_id: str, past: tuple[int, int]) -> list[DeadLetter]:
    key = tuple_(DEAD_LETTER.c.row_number, DEAD_LETTER.c.chunk)
    page = (
        select(DEAD_LETTER)
        .where(DEAD_LETTER.c.job_id == job_id, key > past)
        .order_by(DEAD_LETTER.c.row_number, DEAD_LETTER.c.chunk)
        .limit(_PAGE_LETTERS)
    )
    return [dead_value(row) for row in connection.execute(page).mappings()]
