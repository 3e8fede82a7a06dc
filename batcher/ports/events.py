"""What happens, told as events from one closed list. Nothing of a row ever stands in one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Protocol, TypeAlias

Fact: TypeAlias = str | int | float | bool | None


class Level(IntEnum):
    """How much an event matters to whoever runs workers."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Event(StrEnum):
    """Everything that is logged; ``docs/observability.md`` says what each means."""

    WORKER_STARTED = "worker.started"
    WORKER_STOPPING = "worker.stopping"
    WORKER_STOPPED = "worker.stopped"
    HEALTH_OPENED = "health.opened"
    JOB_SERVED = "job.served"
    JOB_LEFT = "job.left"
    JOB_REFUSED = "job.refused"
    JOB_FAILED = "job.failed"
    JOB_RESUMED = "job.resumed"
    JOB_DELIVERED = "job.delivered"
    DELIVERY_FAILED = "delivery.failed"
    ORDER_FILLED = "order.filled"
    ORDER_FAILED = "order.failed"
    ORDER_REFUSED = "order.refused"
    SCHEDULE_FIRED = "schedule.fired"
    SCHEDULE_SKIPPED = "schedule.skipped"
    SCHEDULE_REFUSED = "schedule.refused"
    ERRAND_FAILED = "errand.failed"
    REQUEST_FAILED = "request.failed"
    ROW_DEAD = "row.dead"
    THROTTLE_PAUSED = "throttle.paused"
    OUTAGE_BEGUN = "outage.begun"
    OUTAGE_OVER = "outage.over"
    BUDGET_SHORT = "budget.short"
    LEASE_LOST = "lease.lost"
    CHECKPOINT_SLOW = "checkpoint.slow"
    STORE_LOST = "store.lost"
    QUEUE_LOST = "queue.lost"
    QUEUE_FOUND = "queue.found"
    LIBRARY_WARNED = "library.warned"


LEVELS: Mapping[Event, Level] = {
    **dict.fromkeys(Event, Level.INFO),
    Event.REQUEST_FAILED: Level.DEBUG,
    Event.JOB_REFUSED: Level.WARNING,
    Event.DELIVERY_FAILED: Level.WARNING,
    Event.ORDER_FAILED: Level.WARNING,
    Event.ORDER_REFUSED: Level.WARNING,
    Event.SCHEDULE_SKIPPED: Level.WARNING,
    Event.SCHEDULE_REFUSED: Level.WARNING,
    Event.THROTTLE_PAUSED: Level.WARNING,
    Event.OUTAGE_BEGUN: Level.WARNING,
    Event.BUDGET_SHORT: Level.WARNING,
    Event.LEASE_LOST: Level.WARNING,
    Event.CHECKPOINT_SLOW: Level.WARNING,
    Event.STORE_LOST: Level.WARNING,
    Event.QUEUE_LOST: Level.WARNING,
    Event.LIBRARY_WARNED: Level.WARNING,
    Event.JOB_FAILED: Level.ERROR,
    Event.ERRAND_FAILED: Level.ERROR,
}


class Log(Protocol):
    """Where events go."""

    def __call__(self, event: Event, /, **facts: Fact) -> None:
        """Tell of one. Never raises, never waits. Facts are ids, counts and codes."""
        ...


class Doorbell(Protocol):
    """Tells workers that there is something to do; what that is they read in the database."""

    async def ring(self, job_id: str) -> None:
        """Some worker looks at the job soon; one that cannot be reached finds it by itself later.

        Never raises for a bell that is out of order.
        """
        ...


class NoDoorbell:
    """Where there is no Redis: workers find jobs by looking."""

    async def ring(self, job_id: str) -> None:
        """See :meth:`Doorbell.ring`."""
