"""The verbs of :class:`batcher.ports.DeliveryStore` in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, or_, select, update

from batcher.adapters.store.codec import json_text
from batcher.adapters.store.database import Conflict
from batcher.adapters.store.delivering import (
    delivered,
    delivery_lease,
    delivery_state,
    failed,
    granted,
    is_settled_so,
    newly_set,
)
from batcher.adapters.store.sql.jobs import JOBS_AT_ONCE, OPEN_TRIES, must_exist
from batcher.adapters.store.sql.tables import DELIVERY, JOB
from batcher.core.errors import StoreError
from batcher.core.model import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from batcher.adapters.store.database import Database
    from batcher.ports import DeliveryLease, DeliveryState

_DUE = and_(JOB.c.state == JobState.COMPLETE.value, DELIVERY.c.delivered_at.is_(None))
_BOTH = DELIVERY.join(JOB, JOB.c.id == DELIVERY.c.job_id)


class SqlDeliveries:
    """Deliveries in the table ``delivery``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_delivery(self, job_id: str, target: Mapping[str, Any]) -> None:
        """See :meth:`batcher.ports.DeliveryStore.set_delivery`."""
        text = json_text(dict(target))

        def work(connection: Connection) -> None:
            row = _locked(connection, job_id)
            change = newly_set(row, text)
            if row is None:
                must_exist(connection, job_id)
                connection.execute(insert(DELIVERY).values(job_id=job_id, **change))
            elif change:
                _change(connection, job_id, change)

        for _ in range(OPEN_TRIES):
            try:
                return await self._database.write(work)
            except Conflict:  # on a server, another has set one first; or the job is being deleted
                continue
        raise StoreError(f"database {self._database.name}: the delivery of {job_id} is being set")

    async def delivery(self, job_id: str) -> DeliveryState | None:
        """See :meth:`batcher.ports.DeliveryStore.delivery`."""
        return (await self.deliveries([job_id])).get(job_id)

    async def deliveries(self, job_ids: Sequence[str]) -> dict[str, DeliveryState]:
        """See :meth:`batcher.ports.DeliveryStore.deliveries`."""
        found: dict[str, DeliveryState] = {}

        def work(connection: Connection) -> None:
            now = self._database.now(connection)
            rows = connection.execute(select(DELIVERY).where(DELIVERY.c.job_id.in_(some)))
            found.update((row["job_id"], delivery_state(dict(row), now)) for row in rows.mappings())

        for first in range(0, len(job_ids), JOBS_AT_ONCE):
            some = job_ids[first : first + JOBS_AT_ONCE]
            await self._database.read(work)
        return found

    async def due_deliveries(self, *, limit: int = 100) -> list[str]:
        """See :meth:`batcher.ports.DeliveryStore.due_deliveries`."""

        def work(connection: Connection) -> list[str]:
            now = self._database.now(connection)
            free = [
                or_(column.is_(None), column <= now)
                for column in (DELIVERY.c.expires_at, DELIVERY.c.next_at)
            ]
            due = select(DELIVERY.c.job_id).select_from(_BOTH).where(_DUE, *free)
            return list(connection.scalars(due.order_by(JOB.c.finished_at, JOB.c.id).limit(limit)))

        return await self._database.read(work)

    async def failing_deliveries(self) -> int:
        """See :meth:`batcher.ports.DeliveryStore.failing_deliveries`."""
        failing = select(func.count()).select_from(_BOTH).where(_DUE, DELIVERY.c.cause.is_not(None))
        return await self._database.read(lambda connection: connection.scalar(failing) or 0)

    async def claim_delivery(
        self, job_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> DeliveryLease | None:
        """See :meth:`batcher.ports.DeliveryStore.claim_delivery`."""
        due = select(JOB.c.id).select_from(_BOTH).where(_DUE, JOB.c.id == job_id)

        def work(connection: Connection) -> DeliveryLease | None:
            row = _locked(connection, job_id)
            if row is None or connection.scalar(due) is None:
                return None
            now = self._database.now(connection)
            change = granted(row, owner, ttl_seconds, now=now, unblamed=unblamed)
            if change is None:
                return None
            _change(connection, job_id, change)
            return delivery_lease({**row, **change})

        return await self._database.write(work)

    async def advance_delivery(self, job_id: str, fence: int, *, cursor: int, records: int) -> bool:
        """See :meth:`batcher.ports.DeliveryStore.advance_delivery`."""
        mine = and_(DELIVERY.c.job_id == job_id, DELIVERY.c.fence == fence)
        further = update(DELIVERY).where(mine, DELIVERY.c.owner.is_not(None))
        further = further.values(cursor=cursor, records=records)

        def work(connection: Connection) -> bool:
            return bool(connection.execute(further).rowcount)

        return await self._database.write(work)

    async def settle_delivery(
        self,
        job_id: str,
        fence: int,
        *,
        files: Sequence[str] = (),
        cause: str | None = None,
        exit_code: int = 1,
        elsewhere: bool = False,
    ) -> bool:
        """See :meth:`batcher.ports.DeliveryStore.settle_delivery`."""

        def work(connection: Connection) -> bool:
            row = _locked(connection, job_id)
            if row is None or row["fence"] != fence:
                return False
            now = self._database.now(connection)
            if cause is None:
                end = delivered(files, now=now)
            else:
                end = failed(row, cause, exit_code, now=now, elsewhere=elsewhere)
            if row["owner"] is None:
                return is_settled_so(row, end)
            _change(connection, job_id, end)
            return True

        return await self._database.write(work)


def _locked(connection: Connection, job_id: str) -> dict[str, Any] | None:
    """The delivery's row, which nobody else changes before the end of the transaction."""
    query = select(DELIVERY).where(DELIVERY.c.job_id == job_id).with_for_update()
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _change(connection: Connection, job_id: str, change: Mapping[str, Any]) -> None:
    connection.execute(update(DELIVERY).where(DELIVERY.c.job_id == job_id).values(dict(change)))
