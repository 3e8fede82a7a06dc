"""What happens, told as events from one closed list. Nothing of a row ever stands in one."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, TypeAlias

Fact: TypeAlias = str | int | float | bool | None


class Event(StrEnum):
    """Everything that is logged."""

    WORKER_STARTED = "worker.started"
    WORKER_STOPPING = "worker.stopping"
    WORKER_STOPPED = "worker.stopped"
    JOB_SERVED = "job.served"
    JOB_LEFT = "job.left"
    JOB_REFUSED = "job.refused"
    JOB_FAILED = "job.failed"
    JOB_RESUMED = "job.resumed"
    STORE_LOST = "store.lost"
    QUEUE_LOST = "queue.lost"
    QUEUE_FOUND = "queue.found"


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
