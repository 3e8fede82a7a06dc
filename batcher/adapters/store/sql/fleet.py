"""The verbs of :class:`batcher.ports.FleetStore` in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, insert, or_, select, update

from batcher.adapters.store.lifecycle import DEAD_KEPT_SECONDS, utc, works_for
from batcher.adapters.store.sql.jobs import OPEN
from batcher.adapters.store.sql.tables import JOB, SHARD, WORKER
from batcher.core.model import JobState
from batcher.ports import WorkerCard, WorkerState

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from batcher.adapters.store.database import Database

_OPEN_SHARD = and_(SHARD.c.job_id == JOB.c.id, SHARD.c.state == OPEN)


class SqlFleet:
    """Workers in the table ``worker``, and what is left for them to do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting_jobs(self) -> list[str]:
        """See :meth:`batcher.ports.FleetStore.waiting_jobs`."""

        def work(connection: Connection) -> list[str]:
            now = self._database.now(connection)
            lapsed = or_(SHARD.c.expires_at.is_(None), SHARD.c.expires_at <= now)
            free = exists().where(_OPEN_SHARD, lapsed)
            over = and_(JOB.c.planned.is_(True), ~exists().where(_OPEN_SHARD))
            waiting = select(JOB.c.id).where(JOB.c.state == JobState.OPEN.value, or_(free, over))
            return list(connection.scalars(waiting.order_by(JOB.c.created_at, JOB.c.id)))

        return await self._database.read(work)

    async def reserved(self, job_id: str, *, except_owner: str) -> int:
        """See :meth:`batcher.ports.FleetStore.reserved`."""

        def work(connection: Connection) -> int:
            held = select(func.sum(SHARD.c.reserved_picousd)).where(
                SHARD.c.job_id == job_id,
                SHARD.c.state == OPEN,
                SHARD.c.owner != except_owner,
                SHARD.c.expires_at > self._database.now(connection),
            )
            return int(connection.scalar(held) or 0)

        return await self._database.read(work)

    async def due_jobs(self) -> list[str]:
        """See :meth:`batcher.ports.FleetStore.due_jobs`."""

        def work(connection: Connection) -> list[str]:
            now = utc(self._database.now(connection))
            paused = JOB.c.state == JobState.PAUSED.value
            return list(connection.scalars(select(JOB.c.id).where(paused, JOB.c.resume_at <= now)))

        return await self._database.read(work)

    async def beat(self, card: WorkerCard, ttl_seconds: float) -> None:
        """See :meth:`batcher.ports.FleetStore.beat`."""

        def work(connection: Connection) -> None:
            now = self._database.now(connection)
            life = {"seen_at": utc(now), "expires_at": now + ttl_seconds}
            mine = WORKER.c.name == card.name
            if connection.execute(update(WORKER).where(mine).values(life)).rowcount:
                return
            connection.execute(
                insert(WORKER).values(
                    name=card.name,
                    host=card.host,
                    pid=card.pid,
                    version=card.version,
                    started_at=card.started_at,
                    **life,
                )
            )

        await self._database.write(work)

    async def leave(self, name: str) -> None:
        """See :meth:`batcher.ports.FleetStore.leave`."""
        gone = delete(WORKER).where(WORKER.c.name == name)

        def work(connection: Connection) -> None:
            connection.execute(gone)

        await self._database.write(work)

    async def workers(self) -> list[WorkerState]:
        """See :meth:`batcher.ports.FleetStore.workers`."""
        cards = select(WORKER).order_by(WORKER.c.started_at, WORKER.c.name)
        held = (
            select(SHARD.c.owner, SHARD.c.job_id, func.count().label("shards"))
            .join(JOB, JOB.c.id == SHARD.c.job_id)
            .where(JOB.c.state == JobState.OPEN.value, SHARD.c.state == OPEN)
            .where(SHARD.c.owner.is_not(None))
            .group_by(SHARD.c.owner, SHARD.c.job_id)
        )

        def work(connection: Connection) -> list[WorkerState]:
            now = self._database.now(connection)
            leases = connection.execute(held).all()
            return [
                _state(row, now, [lease for lease in leases if works_for(lease.owner, row.name)])
                for row in connection.execute(cards)
                if now < row.expires_at + DEAD_KEPT_SECONDS
            ]

        return await self._database.read(work)


def _state(row: Any, now: float, leases: list[Any]) -> WorkerState:
    holds: dict[str, int] = {}
    for lease in leases:
        holds[lease.job_id] = holds.get(lease.job_id, 0) + lease.shards
    return WorkerState(
        card=WorkerCard(
            name=row.name,
            host=row.host,
            pid=row.pid,
            version=row.version,
            started_at=row.started_at,
        ),
        seen_at=row.seen_at,
        alive=now < row.expires_at,
        holds=holds,
    )
