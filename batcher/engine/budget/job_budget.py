"""What one job has spent and reserved, in all the workers that share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from batcher.core.model import Tally
from batcher.ports import Checkpoint


class Spending(Protocol):
    """What a store tells of a job's money."""

    async def tally(self, job_id: str) -> Tally:
        """See :meth:`batcher.ports.JobReads.tally`."""
        ...

    async def reserved(self, job_id: str, *, except_owner: str) -> int:
        """See :meth:`batcher.ports.FleetStore.reserved`."""
        ...


class JobBudget:
    """The money of one job, seen from one of its owners; all of it is in picodollars."""

    def __init__(
        self, store: Spending, job_id: str, owner: str, *, spent_before: int, shared: bool
    ) -> None:
        """``spent_before`` is what the job had spent when this owner began.

        ``shared``: others may work on it.
        """
        self._store = store
        self._job_id = job_id
        self._owner = owner
        self._spent_before = spent_before
        self._mine = 0
        self._shared = shared

    def committed(self, checkpoints: Sequence[Checkpoint]) -> None:
        """These are written: this owner has spent so much more."""
        for checkpoint in checkpoints:
            self._mine += checkpoint.usage.cost_picousd + checkpoint.doubt.cost_picousd

    async def spent_elsewhere(self) -> int:
        """What others have spent of it since this owner began."""
        if not self._shared:
            return 0
        tally = await self._store.tally(self._job_id)
        spent = tally.usage.cost_picousd + tally.doubt.cost_picousd
        return max(0, spent - self._spent_before - self._mine)

    async def is_reserved_elsewhere(self) -> bool:
        """Whether others hold reservations, which may come back."""
        if not self._shared:
            return False
        return bool(await self._store.reserved(self._job_id, except_owner=self._owner))
