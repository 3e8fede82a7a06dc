"""Many workers on one database: what there is to do, and who is alive to do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCard:
    """What a worker process says of itself. ``name`` is its own among all that ever lived."""

    name: str
    host: str
    pid: int
    version: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """A worker as the database knows it.

    ``seen_at`` is its last sign of life; ``alive`` whether the time that it gave itself then has
    not passed. ``holds`` counts the shards that it has leased, by job.
    """

    card: WorkerCard
    seen_at: datetime
    alive: bool
    holds: Mapping[str, int] = field(default_factory=dict)


class FleetReads(Protocol):
    """What whoever looks at the workers, and at what waits for them, needs."""

    async def waiting_jobs(self) -> list[str]:
        """Ids of the open jobs that somebody could do something for now, oldest first.

        Those with a shard that may be claimed, and those that are planned and have no open shard
        left, which nobody has declared complete yet.
        """
        ...

    async def workers(self) -> list[WorkerState]:
        """The workers that have not left, the oldest first; who is dead for a day is left out."""
        ...


class FleetStore(FleetReads, Protocol):
    """What workers share beside the jobs themselves.

    A worker is the owner of every lease whose owner is its name, or begins with its name and ``/``.
    """

    async def reserved(self, job_id: str, *, except_owner: str) -> int:
        """Picodollars of the job's budget that others have reserved, their leases not being over.

        What of it they do not spend may be had again.
        """
        ...

    async def due_jobs(self) -> list[str]:
        """Ids of the paused jobs whose ``resume_at`` has come, by the database's clock."""
        ...

    async def beat(self, card: WorkerCard, ttl_seconds: float) -> None:
        """A sign of life: the worker is alive for so long."""
        ...

    async def leave(self, name: str) -> None:
        """The worker has ended in good order; idempotent."""
        ...
