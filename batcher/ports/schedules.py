"""Schedules: what is to be run when. They fire by the database's clock, once per due time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from batcher.core.job.schedule import Missed
from batcher.ports.orders import Blueprint, Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule.

    ``cron`` is an expression of five fields, read in ``timezone`` (a name of the IANA's). With
    ``overlap``, it runs although its former run is under way. ``next_due`` is None where it will
    never be due again.
    """

    name: str
    cron: str
    timezone: str
    blueprint: Blueprint
    missed: Missed = Missed.RUN_ONCE
    overlap: bool = False
    paused: bool = False
    next_due: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One firing to be written: an order under ``order_id``, and the schedule's next due time.

    ``was_due`` is what the schedule's ``next_due`` was when this was decided. ``skipped`` says why
    nothing is to be run. By hand, ``due`` and ``was_due`` are None and ``next_due`` does not count.
    """

    order_id: str
    due: datetime | None = None
    was_due: datetime | None = None
    next_due: datetime | None = None
    skipped: str | None = None


class ScheduleStore(Protocol):
    """Schedules by name, and their firings, which are orders."""

    async def moment(self) -> datetime:
        """The present by the database's clock."""
        ...

    async def add_schedule(self, schedule: Schedule) -> bool:
        """Keep a new schedule; False where the name is taken by another one."""
        ...

    async def remove_schedule(self, name: str) -> bool:
        """Forget a schedule and its firings that are not begun; False where there is none.

        Its jobs stay, as do the orders that led to them.
        """
        ...

    async def hold_schedule(self, name: str, *, paused: bool, next_due: datetime | None) -> bool:
        """Pause it or let it go on, due next at that time; False where there is none."""
        ...

    async def schedules(self) -> list[Schedule]:
        """All schedules, by name."""
        ...

    async def due_schedules(self) -> tuple[datetime, list[Schedule]]:
        """The present by the database's clock, and the schedules that are due and not paused."""
        ...

    async def fire(self, name: str, firing: Firing) -> Order | None:
        """Write an order and move the schedule on, in one transaction.

        None, and nothing written, where there is no such schedule; unless by hand also where it is
        paused, or where ``was_due`` is not its next due time any more: somebody else has fired. The
        same firing written twice counts once, and is returned.

        The order is fresh. It is SKIPPED, ``error`` saying why, where ``skipped`` does, or where
        overlap is not allowed and the former run is under way: an order of the schedule waits, or
        the job of one is open or paused.
        """
        ...

    async def firings(self, name: str, *, limit: int = 100) -> list[Order]:
        """The orders that a schedule has placed, the newest first."""
        ...
