"""Everything that can be done with schedules, but firing them when they are due."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.schedule import Missed
from batcher.core.job.spec import JobSpec
from batcher.core.job.urls import shown_input
from batcher.core.model import Job
from batcher.engine.opening.firing import order_id
from batcher.engine.opening.orders import blueprint_of
from batcher.engine.services import Services
from batcher.ports import Firing, Order, OrderState, Schedule

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LATEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """One firing, and the state of its job; None where it has none (any more)."""

    order: Order
    job_state: str | None

    def to_json(self) -> Mapping[str, Any]:
        """As the command line prints it."""
        order = self.order
        return {
            "due_at": _time(order.due_at),
            "fired_at": _time(order.asked_at),
            "outcome": str(order.state),
            "reason": order.error,
            "job": order.job_id,
            "status": self.job_state,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleReport:
    """A schedule and its latest firings, the newest first."""

    schedule: Schedule
    fired: tuple[Fired, ...] = ()

    @property
    def last_with_job(self) -> Fired | None:
        """The newest firing that opened a job."""
        return next((fired for fired in self.fired if fired.order.job_id is not None), None)

    def to_json(self) -> Mapping[str, Any]:
        """As the command line prints it."""
        schedule = self.schedule
        delivery = schedule.blueprint.delivery
        return {
            "schedule": schedule.name,
            "cron": schedule.cron,
            "timezone": schedule.timezone,
            "kind": schedule.blueprint.spec.get("kind"),
            "model": schedule.blueprint.spec.get("model"),
            "input": shown_input(str(schedule.blueprint.spec.get("input", ""))),
            "output": None if delivery is None else shown_input(str(delivery.get("output", ""))),
            "missed": str(schedule.missed),
            "overlap": schedule.overlap,
            "paused": schedule.paused,
            "next_due": None if schedule.paused else _time(schedule.next_due),
            "created_at": _time(schedule.created_at),
            "firings": [fired.to_json() for fired in self.fired],
        }


class Schedules:
    """The schedules of one database."""

    def __init__(self, services: Services) -> None:
        """Not for direct use: see :attr:`batcher.engine.runner.Runner.schedules`."""
        self._services = services

    async def add(
        self,
        name: str,
        cron: str,
        spec: JobSpec,
        *,
        timezone: str = "UTC",
        missed: Missed = Missed.RUN_ONCE,
        overlap: bool = False,
        delivery: DeliverySpec | None = None,
    ) -> ScheduleReport:
        """Run a job whenever the cron expression is due in a time zone.

        The jobs are called as the schedule is, unless the spec has a name. Workers deliver each of
        them as ``delivery`` says, whose ``{date}`` is the day of the due time in that zone.

        Raises:
            UsageError: something of it is wrong, or there is another schedule of that name.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a name for a schedule: use letters, digits, and ._- after "
                "the first"
            )
        store = self._services.store
        times = self._services.due_times(cron, timezone)
        now = await store.moment()
        if (next_due := times.after(now)) is None:
            raise UsageError(f"{cron!r} is never due")
        if delivery is not None:
            delivery = replace(delivery, timezone=timezone)
        named = replace(spec, name=spec.name or name)
        schedule = Schedule(
            name=name,
            cron=" ".join(cron.split()),
            timezone=timezone,
            blueprint=await blueprint_of(self._services, named, delivery),
            missed=missed,
            overlap=overlap,
            next_due=next_due,
            created_at=now,
        )
        if not await store.add_schedule(schedule):
            raise UsageError(
                f"a schedule {name} exists already: `batcher schedule remove {name}` first, or "
                "choose another --name"
            )
        return ScheduleReport(schedule=schedule)

    async def all(self) -> list[ScheduleReport]:
        """The schedules by name, each with its latest firings."""
        return [await self._report(found) for found in await self._services.store.schedules()]

    async def report(self, name: str) -> ScheduleReport:
        """One schedule.

        Raises:
            UsageError: there is none of that name.
        """
        return await self._report(await self._find(name))

    async def remove(self, name: str) -> None:
        """Forget a schedule; its jobs stay.

        Raises:
            UsageError: there is none of that name.
        """
        if not (_NAME.fullmatch(name) and await self._services.store.remove_schedule(name)):
            raise _unknown(name)

    async def pause(self, name: str) -> ScheduleReport:
        """Let nothing of it be due until it is resumed. What is under way goes on.

        Raises:
            UsageError: there is none of that name.
        """
        schedule = await self._find(name)
        await self._services.store.hold_schedule(name, paused=True, next_due=schedule.next_due)
        return await self.report(name)

    async def resume(self, name: str) -> ScheduleReport:
        """Let it be due again, from now on: what it missed in the meantime was not wanted.

        Raises:
            UsageError: there is none of that name.
        """
        schedule = await self._find(name)
        if schedule.paused:
            times = self._services.due_times(schedule.cron, schedule.timezone)
            next_due = times.after(await self._services.store.moment())
            await self._services.store.hold_schedule(name, paused=False, next_due=next_due)
        return await self.report(name)

    async def run(self, name: str) -> Order:
        """Have a worker run it now, whenever it is due. A worker opens the job.

        Raises:
            UsageError: there is none of that name, or its former run is under way.
        """
        firing = Firing(order_id=order_id())
        order = await self._services.store.fire(name, firing) if _NAME.fullmatch(name) else None
        if order is None:
            raise _unknown(name)
        if order.state is OrderState.SKIPPED:
            raise UsageError(f"schedule {name} is not run: {order.error}")
        return order

    async def _find(self, name: str) -> Schedule:
        for schedule in await self._services.store.schedules():
            if schedule.name == name:
                return schedule
        raise _unknown(name)

    async def _report(self, schedule: Schedule) -> ScheduleReport:
        store = self._services.store
        orders = await store.firings(schedule.name, limit=_LATEST)
        fired = [Fired(order=order, job_state=await self._state(order)) for order in orders]
        return ScheduleReport(schedule=schedule, fired=tuple(fired))

    async def _state(self, order: Order) -> str | None:
        if order.job_id is None:
            return None
        try:
            job: Job = await self._services.store.job(order.job_id)
        except UsageError:  # purged
            return None
        return str(job.state)


def _unknown(name: str) -> UsageError:
    return UsageError(f"there is no schedule {name!r}: `batcher schedule list` lists the schedules")


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
