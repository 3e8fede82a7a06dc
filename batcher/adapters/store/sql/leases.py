"""The verbs of :class:`batcher.ports.ShardStore` that plan and lease, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, func, insert, or_, select, update

from batcher.adapters.store.checksum import (
    is_outline,
    is_prompts,
    outline_checksum,
    prompts_checksum,
    results_checksum,
)
from batcher.adapters.store.codec import dead_row, event_text, event_value, job_value
from batcher.adapters.store.damage import damaged_prompts
from batcher.adapters.store.lifecycle import is_there_already, unknown_job, utc
from batcher.adapters.store.settlement import NO_FENCE, NO_SEQ, PLANNED
from batcher.adapters.store.sql.grants import give_back, grant
from batcher.adapters.store.sql.jobs import DONE, OPEN, lock_shards, must_exist, update_job
from batcher.adapters.store.sql.tables import (
    CHECKPOINT,
    DEAD_LETTER,
    HASHES,
    JOB,
    PAYLOAD,
    PROMPTS,
    SHARD,
    WORKER,
)
from batcher.core.model import JobState
from batcher.core.progress import ShardEvent
from batcher.ports import Carried, Lease, NewShard

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from batcher.adapters.store.database import Database

_INSERT_SHARD = insert(SHARD)
_INSERT_PAYLOAD = insert(PAYLOAD)
_INSERT_PROMPTS = insert(PROMPTS)
_INSERT_HASHES = insert(HASHES)
_INSERT_DEAD = insert(DEAD_LETTER)
_INSERT_CHECKPOINT = insert(CHECKPOINT)
_MOVE_CURSOR = (
    update(JOB)
    .where(
        JOB.c.id == bindparam("of"),
        JOB.c.plan_fence == bindparam("fence"),
        JOB.c.planned.is_(False),
        JOB.c.plan_row <= bindparam("row"),
        or_(bindparam("ordinal") == -1, JOB.c.plan_shard == bindparam("ordinal")),
    )
    .values(
        plan_row=bindparam("row"),
        plan_shard=JOB.c.plan_shard + bindparam("more"),
        planned=bindparam("is_last"),
        plan_tries=0,
    )
)


class SqlLeases:
    """Rights to plan and to work, in the tables ``job`` and ``shard``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lease_plan(
        self, job_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> int | None:
        """See :meth:`batcher.ports.ShardStore.lease_plan`."""
        columns = select(JOB.c.plan_fence, JOB.c.plan_owner, JOB.c.plan_expires_at)
        plan = (
            columns.add_columns(JOB.c.plan_tries)
            .where(JOB.c.id == job_id)
            .with_for_update(key_share=True)
        )

        def work(connection: Connection) -> int | None:
            row = connection.execute(plan).first()
            if row is None:
                raise unknown_job(job_id)
            now = self._database.now(connection)
            taken_up = row.plan_owner != owner
            held = row.plan_expires_at is not None and now < row.plan_expires_at
            if taken_up and held:
                return None
            forgiven = unblamed and held and row.plan_tries > 0
            fence: int = row.plan_fence + taken_up
            update_job(
                connection,
                job_id,
                plan_fence=fence,
                plan_owner=owner,
                plan_expires_at=now + ttl_seconds,
                plan_tries=row.plan_tries + taken_up - forgiven,
            )
            return fence

        return await self._database.write(work)

    async def add_shard(
        self, job_id: str, fence: int, shard: NewShard | None, *, next_row: int, planned: bool
    ) -> bool:
        """See :meth:`batcher.ports.ShardStore.add_shard`."""
        cursor = {
            "of": job_id,
            "fence": fence,
            "row": next_row,
            "ordinal": -1 if shard is None else shard.ordinal,
            "more": 0 if shard is None else 1,
            "is_last": planned,
        }

        def work(connection: Connection) -> bool:
            if not connection.execute(_MOVE_CURSOR, cursor).rowcount:
                return _stands_there(connection, cursor)
            if shard is not None:
                shard_id = _insert_shard(connection, job_id, shard)
                if shard.carried is not None:
                    _insert_carried(connection, shard_id, shard.carried)
                    _begin(connection, job_id, self._database.now(connection))
            if planned:
                update_job(connection, job_id, plan_owner=None, plan_expires_at=None)
            return True

        return await self._database.write(work)

    async def claim(
        self,
        job_id: str,
        owner: str,
        *,
        limit: int,
        ttl_seconds: float,
        expired_only: bool = False,
        exclude: Collection[int] = (),
        contents: bool = False,
    ) -> list[Lease]:
        """See :meth:`batcher.ports.ShardStore.claim`."""
        granted: list[tuple[int, int]] = []

        def work(connection: Connection) -> list[Lease]:
            if granted:  # this is done again, for the reply was lost
                give_back(connection, owner, granted)
            now = self._database.now(connection)
            if not _may_work(connection, job_id):
                return []
            expires_at = now + ttl_seconds
            shards = grant(
                connection,
                job_id,
                owner,
                limit=limit,
                now=now,
                expires_at=expires_at,
                expired_only=expired_only,
                exclude=exclude,
            )
            granted[:] = [(shard.id, shard.fence) for shard in shards]
            if not shards:
                return []
            _check_plans(job_id, shards)
            _begin(connection, job_id, now)
            ids = [shard.id for shard in shards]
            events = _events(connection, ids)
            hashes = _contents(connection, ids) if contents else {}
            return [
                _lease(shard, expires_at, events.get(shard.id, ()), hashes.get(shard.id))
                for shard in shards
            ]

        return await self._database.write(work)

    async def renew(self, owner: str, shard_ids: Sequence[int], ttl_seconds: float) -> set[int]:
        """See :meth:`batcher.ports.ShardStore.renew`."""
        mine = select(SHARD.c.id).where(SHARD.c.id.in_(shard_ids), SHARD.c.owner == owner)
        held = mine.order_by(SHARD.c.id).with_for_update(key_share=True)

        def work(connection: Connection) -> set[int]:
            ids = set(connection.scalars(held).all())
            if ids:
                expires_at = self._database.now(connection) + ttl_seconds
                longer = update(SHARD).where(SHARD.c.id.in_(ids))
                connection.execute(longer.values(expires_at=expires_at))
            return ids

        return await self._database.write(work)

    async def reclaim(self, job_id: str, *, except_owner: str) -> int:
        """See :meth:`batcher.ports.ShardStore.reclaim`."""
        plan = update(JOB).where(JOB.c.id == job_id, JOB.c.plan_owner != except_owner)
        shards = update(SHARD).where(SHARD.c.job_id == job_id, SHARD.c.state == OPEN)

        def work(connection: Connection) -> int:
            must_exist(connection, job_id)
            lock_shards(connection, job_id)
            lost = shards.where(
                SHARD.c.owner != except_owner, ~_lives(self._database.now(connection))
            )
            leased = connection.execute(lost.values(owner=None, expires_at=None)).rowcount
            connection.execute(plan.values(plan_owner=None, plan_expires_at=None))
            return leased

        return await self._database.write(work)


def _may_work(connection: Connection, job_id: str) -> bool:
    state = connection.scalar(select(JOB.c.state).where(JOB.c.id == job_id))
    if state is None:
        raise unknown_job(job_id)
    return bool(state == JobState.OPEN.value)


def _lives(now: float) -> ColumnElement[bool]:
    """Whether a shard's owner is a worker that shows itself."""
    begins = func.substr(SHARD.c.owner, 1, func.length(WORKER.c.name) + 1) == WORKER.c.name + "/"
    own = or_(SHARD.c.owner == WORKER.c.name, begins)
    return exists().where(WORKER.c.expires_at > now, own)


def _stands_there(connection: Connection, cursor: Mapping[str, Any]) -> bool:
    """Whether the plan's cursor, under this fence, is where it should be moved to."""
    row = connection.execute(select(JOB).where(JOB.c.id == cursor["of"])).mappings().first()
    if row is None:
        raise unknown_job(cursor["of"])
    ordinal = cursor["ordinal"] if cursor["more"] else None
    return bool(row["plan_fence"] == cursor["fence"]) and is_there_already(
        job_value(row), ordinal, next_row=cursor["row"], planned=cursor["is_last"]
    )


def _check_plans(job_id: str, shards: Sequence[Row[Any]]) -> None:
    """What is sent must be what was planned.

    Raises:
        DamagedStore: it is not.
    """
    for shard in shards:
        if not (
            is_outline(shard.outline, shard.checksum)
            and is_prompts(shard.prompts, shard.prompts_checksum)
        ):
            raise damaged_prompts(job_id, shard.ordinal)


def _lease(
    shard: Row[Any], expires_at: float, events: Sequence[ShardEvent], contents: bytes | None
) -> Lease:
    return Lease(
        shard_id=shard.id,
        ordinal=shard.ordinal,
        fence=shard.fence,
        expires_at=expires_at,
        outline=shard.outline,
        prompts=shard.prompts,
        events=tuple(events),
        sent_fence=shard.sent_fence,
        sent_through=shard.sent_through,
        contents=contents,
    )


def _begin(connection: Connection, job_id: str, now: float) -> None:
    """Something is done for the job; the first time is when it started."""
    begin = update(JOB).where(JOB.c.id == job_id, JOB.c.started_at.is_(None))
    connection.execute(begin.values(started_at=utc(now)))


def _insert_carried(connection: Connection, shard_id: int, carried: Carried) -> None:
    """Results of another job, as what was done before the first lease."""
    event = event_text(ShardEvent(fence=NO_FENCE, done=carried.pieces))
    connection.execute(
        _INSERT_CHECKPOINT,
        {
            "shard_id": shard_id,
            "fence": NO_FENCE,
            "seq": 0,
            "event": event,
            "results": carried.results,
            "checksum": results_checksum(event, carried.results),
        },
    )


def _insert_shard(connection: Connection, job_id: str, shard: NewShard) -> int:
    """Insert a planned shard with its plan and dead letters; returns its id."""
    carried, plan = shard.carried, shard.plan
    pieces_done = 0 if carried is None else len(carried.pieces)
    made = connection.execute(
        _INSERT_SHARD,
        {
            "job_id": job_id,
            "ordinal": shard.ordinal,
            "first_row": shard.first_row,
            "rows": shard.rows,
            "pieces": shard.pieces,
            "requests": shard.requests,
            "state": DONE if carried is not None and pieces_done == shard.pieces else OPEN,
            "seq": NO_SEQ,
            "rows_done": 0 if carried is None else carried.rows,
            "pieces_done": pieces_done,
            "rows_carried": 0 if carried is None else carried.rows,
            "rows_changed": shard.rows_changed,
            "rows_failed_before": shard.rows_failed_before,
        },
    )
    shard_id: int = made.inserted_primary_key[0]  # type: ignore[index]  # one row makes one key
    connection.execute(
        _INSERT_PAYLOAD,
        {
            "shard_id": shard_id,
            "outline": plan.outline,
            "columns": shard.columns,
            "checksum": outline_checksum(plan.outline, shard.columns),
        },
    )
    checksum = prompts_checksum(plan.prompts)
    connection.execute(
        _INSERT_PROMPTS, {"shard_id": shard_id, "prompts": plan.prompts, "checksum": checksum}
    )
    connection.execute(
        _INSERT_HASHES, {"shard_id": shard_id, "contents": plan.contents, "ids": plan.ids}
    )
    if shard.dead:
        connection.execute(
            _INSERT_DEAD,
            [
                dead_row(dead, job_id=job_id, shard_id=shard_id, piece=PLANNED)
                for dead in shard.dead
            ],
        )
    return shard_id


def _contents(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """The content hashes of these shards' rows, where they are kept."""
    query = select(HASHES.c.shard_id, HASHES.c.contents).where(HASHES.c.shard_id.in_(ids))
    return {shard_id: bytes(found) for shard_id, found in connection.execute(query) if found}


def _events(connection: Connection, ids: Sequence[int]) -> dict[int, list[ShardEvent]]:
    """All events of these shards, in the order of (fence, seq)."""
    key = (CHECKPOINT.c.shard_id, CHECKPOINT.c.fence, CHECKPOINT.c.seq)
    query = select(CHECKPOINT.c.shard_id, CHECKPOINT.c.event).where(CHECKPOINT.c.shard_id.in_(ids))
    found: dict[int, list[ShardEvent]] = {}
    for shard_id, text in connection.execute(query.order_by(*key)):
        found.setdefault(shard_id, []).append(event_value(text))
    return found
