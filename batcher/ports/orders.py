"""Jobs that a worker is to open itself: asked for by a command or a schedule, not opened yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from batcher.core.kind import TextFile
from batcher.core.model import Job


class OrderState(StrEnum):
    """Where an order stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What a job is to be made of, but for its input, which is read where the job is opened.

    ``spec`` is the JSON form of :class:`batcher.core.job.spec.JobSpec`, ``files`` the texts of the
    files that its kind's options name; ``delivery`` is that of
    :class:`batcher.core.job.delivery.DeliverySpec`, None where its results stay in the database.
    """

    spec: Mapping[str, Any]
    files: Mapping[str, TextFile] = field(default_factory=dict)
    delivery: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One job to be opened.

    ``schedule`` and ``due_at`` are those of a schedule's firing, which are unique together;
    ``due_at`` is None where it was fired by hand. ``job_id`` is the job once there is one;
    ``error`` says why there is none and will be none; or none yet, where it waits. ``forgiven`` is
    how often it was claimed and given back by no fault of its own.
    """

    id: str
    blueprint: Blueprint
    fresh: bool
    asked_at: datetime
    state: OrderState = OrderState.WAITING
    schedule: str | None = None
    due_at: datetime | None = None
    job_id: str | None = None
    error: str | None = None
    forgiven: int = 0


class OrderPurges(Protocol):
    """What whoever deletes orders needs."""

    async def purge_orders(self, before: datetime) -> int:
        """Delete the orders that ended without a job and were asked for before that time.

        Those with a job go with it. Returns how many were deleted.
        """
        ...


class OrderStore(OrderPurges, Protocol):
    """Orders: placed, claimed, and filled once. A lease and its fence, as with shards."""

    async def place_order(self, order_id: str, blueprint: Blueprint, *, fresh: bool) -> Order:
        """Ask for a job. Asked for again under the same id, it is the order that is there."""
        ...

    async def order(self, order_id: str) -> Order:
        """An order by its id.

        Raises:
            batcher.core.errors.UsageError: there is none.
        """
        ...

    async def waiting_orders(self, *, limit: int = 100) -> list[Order]:
        """Those that may be claimed, the oldest first."""
        ...

    async def claim_order(
        self, order_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> int | None:
        """The right to fill a waiting order, as a fence; None where it may not be claimed.

        It may be when the database's clock is at or past its expiry; to its own owner it is
        extended, under the same fence. Fence + 1 at every other grant, from 1. With ``unblamed``
        an owner that holds it gives it back by no fault of the order's, which is counted.
        """
        ...

    async def open_ordered(self, order_id: str, fence: int, job: Job) -> Job | None:
        """Open a job as :meth:`JobStore.open_job` does, as the order's, in one transaction.

        A waiting order has one job: where it has it already, that one is returned. The job that is
        made has the order's ``schedule``. None where the fence is stale; nothing was written.
        """
        ...

    async def settle_order(
        self, order_id: str, fence: int, state: OrderState, *, error: str | None = None
    ) -> bool:
        """End a waiting order; False where the fence is stale, and nothing was written.

        With ``waiting`` it is given back instead, and ``error`` says why nobody has opened it yet.
        The same thing settled twice counts once, and is True.
        """
        ...

    async def unplanned_jobs(self) -> list[str]:
        """Ids of the open jobs of orders that are not planned, and that nobody plans, oldest first.

        Their plan's lease has never been granted, or is at or past its expiry.
        """
        ...
