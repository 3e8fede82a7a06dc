"""The verbs of :class:`batcher.ports.ScheduleStore` in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, insert, not_, or_, select, update

from batcher.adapters.store.database import Conflict
from batcher.adapters.store.lifecycle import UNPLANNABLE, fired, under_way, utc
from batcher.adapters.store.order_codec import order_value, schedule_row, schedule_value
from batcher.adapters.store.sql.orders import find_order, insert_order
from batcher.adapters.store.sql.tables import JOB, ORDER, SCHEDULE
from batcher.core.model import JobState
from batcher.ports import Firing, Order, OrderState, Schedule

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from batcher.adapters.store.database import Database

_UNPLANNABLE = and_(
    JOB.c.planned.is_(False), JOB.c.cause.in_([cause.value for cause in UNPLANNABLE])
)
# As batcher.adapters.store.lifecycle.is_under_way says it of a value.
_GOING = or_(
    JOB.c.state == JobState.OPEN.value,
    and_(JOB.c.state == JobState.PAUSED.value, or_(JOB.c.cause.is_(None), not_(_UNPLANNABLE))),
)


class SqlSchedules:
    """Schedules in the table ``schedule``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def moment(self) -> datetime:
        """See :meth:`batcher.ports.ScheduleStore.moment`."""
        return await self._database.read(lambda connection: utc(self._database.now(connection)))

    async def add_schedule(self, schedule: Schedule) -> bool:
        """See :meth:`batcher.ports.ScheduleStore.add_schedule`."""

        def work(connection: Connection) -> bool:
            found = _locked(connection, schedule.name)
            if found is None:
                connection.execute(insert(SCHEDULE).values(schedule_row(schedule)))
            return found is None or found == schedule

        try:
            return await self._database.write(work)
        except Conflict:
            return False

    async def remove_schedule(self, name: str) -> bool:
        """See :meth:`batcher.ports.ScheduleStore.remove_schedule`."""
        waiting = ORDER.c.state == OrderState.WAITING.value

        def work(connection: Connection) -> bool:
            now = self._database.now(connection)
            free = or_(ORDER.c.expires_at.is_(None), ORDER.c.expires_at <= now)
            unbegun = delete(ORDER).where(
                ORDER.c.schedule == name, waiting, ORDER.c.job_id.is_(None), free
            )
            gone = connection.execute(delete(SCHEDULE).where(SCHEDULE.c.name == name)).rowcount
            connection.execute(unbegun)
            return bool(gone)

        return await self._database.write(work)

    async def hold_schedule(self, name: str, *, paused: bool, next_due: datetime | None) -> bool:
        """See :meth:`batcher.ports.ScheduleStore.hold_schedule`."""
        change = update(SCHEDULE).where(SCHEDULE.c.name == name)

        def work(connection: Connection) -> bool:
            return bool(
                connection.execute(change.values(paused=paused, next_due=next_due)).rowcount
            )

        return await self._database.write(work)

    async def schedules(self) -> list[Schedule]:
        """See :meth:`batcher.ports.ScheduleStore.schedules`."""

        def work(connection: Connection) -> list[Schedule]:
            rows = connection.execute(select(SCHEDULE).order_by(SCHEDULE.c.name)).mappings()
            return [schedule_value(row) for row in rows]

        return await self._database.read(work)

    async def due_schedules(self) -> tuple[datetime, list[Schedule]]:
        """See :meth:`batcher.ports.ScheduleStore.due_schedules`."""

        def work(connection: Connection) -> tuple[datetime, list[Schedule]]:
            now = utc(self._database.now(connection))
            due = select(SCHEDULE).where(SCHEDULE.c.paused.is_(False), SCHEDULE.c.next_due <= now)
            rows = connection.execute(due.order_by(SCHEDULE.c.next_due)).mappings()
            return now, [schedule_value(row) for row in rows]

        return await self._database.read(work)

    async def fire(self, name: str, firing: Firing) -> Order | None:
        """See :meth:`batcher.ports.ScheduleStore.fire`."""
        mine = update(SCHEDULE).where(SCHEDULE.c.name == name)
        alike = ORDER.c.schedule == name, ORDER.c.due_at == firing.due

        def work(connection: Connection) -> Order | None:
            schedule = _locked(connection, name)
            if found := find_order(connection, firing.order_id):
                return found  # this is done again, for the reply was lost
            if schedule is None:
                return None
            if firing.due is not None:
                if schedule.paused or schedule.next_due != firing.was_due:
                    return None
                connection.execute(mine.values(next_due=firing.next_due))
                if connection.scalar(select(ORDER.c.id).where(*alike)) is not None:
                    return None  # it fired, was removed, and is there again
            busy = None if schedule.overlap else _under_way(connection, name)
            order = fired(schedule, firing, now=self._database.now(connection), busy=busy)
            insert_order(connection, order)
            return order

        return await self._database.write(work)

    async def firings(self, name: str, *, limit: int = 100) -> list[Order]:
        """See :meth:`batcher.ports.ScheduleStore.firings`."""
        newest = select(ORDER).where(ORDER.c.schedule == name)
        newest = newest.order_by(ORDER.c.asked_at.desc(), ORDER.c.id.desc()).limit(limit)

        def work(connection: Connection) -> list[Order]:
            return [order_value(row) for row in connection.execute(newest).mappings()]

        return await self._database.read(work)


def _locked(connection: Connection, name: str) -> Schedule | None:
    """The schedule, which nobody else changes, or fires, before the end of the transaction."""
    query = select(SCHEDULE).where(SCHEDULE.c.name == name).with_for_update()
    row = connection.execute(query).mappings().first()
    return None if row is None else schedule_value(row)


def _under_way(connection: Connection, name: str) -> str | None:
    """What of the schedule's former runs is not over yet; None where all are."""
    waiting = ORDER.c.state == OrderState.WAITING.value
    going = or_(waiting, _GOING)
    both = ORDER.outerjoin(JOB, JOB.c.id == ORDER.c.job_id)
    query = select(ORDER.c.job_id, JOB.c.state).select_from(both)
    row = connection.execute(query.where(ORDER.c.schedule == name, going).limit(1)).first()
    return None if row is None else under_way(row.job_id, row.state)
