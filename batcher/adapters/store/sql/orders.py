"""The verbs of :class:`batcher.ports.OrderStore` in SQL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, insert, or_, select, update

from batcher.adapters.store.codec import storable
from batcher.adapters.store.database import Conflict
from batcher.adapters.store.lifecycle import unknown_order, utc
from batcher.adapters.store.order_codec import blueprint_text, order_value
from batcher.adapters.store.sql.jobs import OPEN_TRIES, find_or_insert, must_find
from batcher.adapters.store.sql.tables import JOB, ORDER
from batcher.core.errors import StoreError
from batcher.core.model import Job, JobState
from batcher.ports import Blueprint, Order, OrderState

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from batcher.adapters.store.database import Database

_WAITING = ORDER.c.state == OrderState.WAITING.value
_WITHOUT_JOB = ORDER.c.state.in_([OrderState.FAILED.value, OrderState.SKIPPED.value])


class SqlOrders:
    """Orders in the table ``job_order``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def place_order(self, order_id: str, blueprint: Blueprint, *, fresh: bool) -> Order:
        """See :meth:`batcher.ports.OrderStore.place_order`."""

        def work(connection: Connection) -> Order:
            found = find_order(connection, order_id)
            if found is None:
                now = utc(self._database.now(connection))
                found = Order(id=order_id, blueprint=blueprint, fresh=fresh, asked_at=now)
                insert_order(connection, found)
            return found

        return await self._database.write(work)

    async def order(self, order_id: str) -> Order:
        """See :meth:`batcher.ports.OrderStore.order`."""

        def work(connection: Connection) -> Order:
            found = find_order(connection, order_id)
            if found is None:
                raise unknown_order(order_id)
            return found

        return await self._database.read(work)

    async def waiting_orders(self, *, limit: int = 100) -> list[Order]:
        """See :meth:`batcher.ports.OrderStore.waiting_orders`."""

        def work(connection: Connection) -> list[Order]:
            now = self._database.now(connection)
            free = or_(ORDER.c.expires_at.is_(None), ORDER.c.expires_at <= now)
            oldest = select(ORDER).where(_WAITING, free).order_by(ORDER.c.asked_at, ORDER.c.id)
            rows = connection.execute(oldest.limit(limit)).mappings()
            return [order_value(row) for row in rows]

        return await self._database.read(work)

    async def claim_order(
        self, order_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> int | None:
        """See :meth:`batcher.ports.OrderStore.claim_order`."""

        def work(connection: Connection) -> int | None:
            row = _locked(connection, order_id)
            if row["state"] != OrderState.WAITING.value:
                return None
            fence: int = row["fence"]
            now = self._database.now(connection)
            held = row["expires_at"] is not None and now < row["expires_at"]
            if row["owner"] != owner:
                if held:
                    return None
                fence += 1
            lease = {"owner": owner, "expires_at": now + ttl_seconds, "fence": fence}
            if unblamed and held:
                lease["forgiven"] = row["forgiven"] + 1
            connection.execute(update(ORDER).where(ORDER.c.id == order_id).values(lease))
            return fence

        return await self._database.write(work)

    async def open_ordered(self, order_id: str, fence: int, job: Job) -> Job | None:
        """See :meth:`batcher.ports.OrderStore.open_ordered`."""

        def work(connection: Connection) -> Job | None:
            row = _locked(connection, order_id)
            if row["state"] != OrderState.WAITING.value or row["fence"] != fence:
                return None
            if row["job_id"] is not None:
                return must_find(connection, row["job_id"])
            ordered = replace(job, schedule=row["schedule"])
            opened, _ = find_or_insert(connection, job=ordered, fresh=row["fresh"])
            mine = update(ORDER).where(ORDER.c.id == order_id)
            connection.execute(mine.values(job_id=opened.id))
            return opened

        for _ in range(OPEN_TRIES):
            try:
                return await self._database.write(work)
            except Conflict:  # on a server, another made this generation first; or the id is taken
                continue
        raise StoreError(f"database {self._database.name}: a job {job.id!r} is there already")

    async def settle_order(
        self, order_id: str, fence: int, state: OrderState, *, error: str | None = None
    ) -> bool:
        """See :meth:`batcher.ports.OrderStore.settle_order`."""
        told = None if error is None else storable(error)

        def work(connection: Connection) -> bool:
            row = _locked(connection, order_id)
            if row["state"] != OrderState.WAITING.value or row["fence"] != fence:
                return (row["fence"], row["state"], row["error"]) == (fence, state.value, told)
            end = {"state": state.value, "error": told, "owner": None, "expires_at": None}
            connection.execute(update(ORDER).where(ORDER.c.id == order_id).values(end))
            return True

        return await self._database.write(work)

    async def unplanned_jobs(self) -> list[str]:
        """See :meth:`batcher.ports.OrderStore.unplanned_jobs`."""
        ordered = exists().where(ORDER.c.job_id == JOB.c.id)

        def work(connection: Connection) -> list[str]:
            now = self._database.now(connection)
            free = or_(JOB.c.plan_expires_at.is_(None), JOB.c.plan_expires_at <= now)
            unplanned = and_(JOB.c.state == JobState.OPEN.value, JOB.c.planned.is_(False))
            waiting = select(JOB.c.id).where(unplanned, free, ordered)
            return list(connection.scalars(waiting.order_by(JOB.c.created_at, JOB.c.id)))

        return await self._database.read(work)

    async def purge_orders(self, before: datetime) -> int:
        """See :meth:`batcher.ports.OrderStore.purge_orders`."""
        old = delete(ORDER).where(_WITHOUT_JOB, ORDER.c.job_id.is_(None), ORDER.c.asked_at < before)

        def work(connection: Connection) -> int:
            return connection.execute(old).rowcount

        return await self._database.write(work)


def find_order(connection: Connection, order_id: str) -> Order | None:
    """The order of that id, if there is one."""
    row = connection.execute(select(ORDER).where(ORDER.c.id == order_id)).mappings().first()
    return None if row is None else order_value(row)


def insert_order(connection: Connection, order: Order) -> None:
    """Write a new order."""
    connection.execute(
        insert(ORDER).values(
            id=order.id,
            blueprint=blueprint_text(order.blueprint),
            fresh=order.fresh,
            asked_at=order.asked_at,
            state=order.state.value,
            schedule=order.schedule,
            due_at=order.due_at,
            error=None if order.error is None else storable(order.error),
            fence=0,
        )
    )


def _locked(connection: Connection, order_id: str) -> RowMapping:
    """The order's row, which nobody else changes before the end of the transaction.

    Raises:
        UsageError: there is none.
    """
    query = select(ORDER).where(ORDER.c.id == order_id).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None:
        raise unknown_order(order_id)
    return row
