"""Deliveries: a job's results on their way to where they are to go, once the job is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """Where the delivery of one job stands.

    ``target`` is where its results go, as JSON (opaque to the store). All else is about the job as
    it was completed last: ``attempts`` is how often somebody began to deliver it, ``cause`` why the
    last attempt failed and ``exit_code`` what a command returns for that, both None where none
    has; ``next_at`` is when it may be tried again, None where others may succeed at once.
    ``leased`` says that somebody is delivering it. ``files`` is what was written by
    ``delivered_at``.
    """

    target: Mapping[str, Any]
    attempts: int = 0
    cause: str | None = None
    exit_code: int | None = None
    next_at: datetime | None = None
    leased: bool = False
    files: tuple[str, ...] = ()
    delivered_at: datetime | None = None

    @property
    def failed(self) -> bool:
        """Whether it failed and waits to be tried again."""
        return self.cause is not None and self.next_at is not None and not self.leased


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLease:
    """The right to deliver a job's results, under a fence.

    ``cursor`` is how many rows of the input are delivered already, where the destination can go on
    from there, ``records`` how many records these have.
    """

    job_id: str
    target: Mapping[str, Any]
    fence: int
    attempts: int
    cursor: int = 0
    records: int = 0


class DeliveryReads(Protocol):
    """What whoever looks at deliveries needs."""

    async def delivery(self, job_id: str) -> DeliveryState | None:
        """The delivery of a job of that very id; None where it has none."""
        ...

    async def deliveries(self, job_ids: Sequence[str]) -> dict[str, DeliveryState]:
        """The same of many jobs, by id; those that have none are left out."""
        ...

    async def failing_deliveries(self) -> int:
        """How many deliveries are due whose last attempt failed."""
        ...


class DeliveryStore(DeliveryReads, Protocol):
    """At most one delivery a job. A lease and its fence, as with shards.

    A delivery is due when its job is complete and has not been delivered since. A retry opens the
    job again, and what was delivered before counts no more.
    """

    async def set_delivery(self, job_id: str, target: Mapping[str, Any]) -> None:
        """Have a job's results delivered there, whenever it is complete.

        Set again just as it is, a delivery that waits may be tried at once, and one that is done
        stays done. To another target it begins anew, under a new fence.

        Raises:
            batcher.core.errors.UsageError: there is no such job.
        """
        ...

    async def due_deliveries(self, *, limit: int = 100) -> list[str]:
        """Ids of the jobs whose delivery is due and may be claimed, the first completed first."""
        ...

    async def claim_delivery(
        self, job_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> DeliveryLease | None:
        """The right to deliver what is due; None where it is not, or may not be claimed.

        It may be when the database's clock is at or past the expiry of the last lease, and no pause
        is left. To its own owner it is extended, under the same fence. Fence + 1 at every other
        grant, which counts in ``attempts``. An owner that never gives it back has others wait, when
        the lease has run out, as long as if the attempts before this one had failed
        (:func:`batcher.core.job.delivery.pause_seconds`). With ``unblamed`` its owner gives it back
        by no fault of the delivery's, which takes the claim out of the count.
        """
        ...

    async def advance_delivery(self, job_id: str, fence: int, *, cursor: int, records: int) -> bool:
        """So many rows are delivered, whatever comes; False where the fence is stale."""
        ...

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
        """End an attempt: with the files that were written, or with the ``cause`` of its failure.

        After a failure it may be claimed when the pause for its attempts is over; at once, and
        without counting, where another may succeed ``elsewhere``. False where the fence is stale,
        and nothing was written; the same thing settled twice counts once.
        """
        ...
