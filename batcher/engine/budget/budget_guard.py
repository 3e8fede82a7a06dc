"""Whether a run has money left for what it still has to send, alone or beside others.

The store refuses what would exceed a job's budget. What it refuses now it may grant later: once
others have settled for less than they had reserved, or once somebody owns up for a dead one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from batcher.core.model import Job, Tally
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.ports import Checkpoint, Store


class BudgetGuard:
    """The money of one run."""

    def __init__(
        self,
        job: Job,
        base: Tally,
        *,
        shared: bool,
        owner: str,
        store: Store,
        run_budget: RunBudget,
        checkpoint_writer: CheckpointWriter,
        unpaid: Callable[[], bool],
        take_over: Callable[[], Awaitable[bool]],
    ) -> None:
        """``base`` is what the job had spent when the run began; ``shared``: others work on it.

        ``unpaid`` tells whether calls wait, none is in flight and there is no money for any.
        ``take_over`` claims a shard and tells whether a dead owner had left something in it.
        """
        self._job = job
        self._base = base.usage.cost_picousd + base.doubt.cost_picousd
        self._mine = 0
        self._shared = shared
        self._owner = owner
        self._store = store
        self._run_budget = run_budget
        self._checkpoint_writer = checkpoint_writer
        self._unpaid = unpaid
        self._take_over = take_over

    @property
    def exhausted(self) -> bool:
        """Whether calls wait and there is no money for any, as far as this run knows."""
        return (
            self._unpaid()
            and not self._checkpoint_writer.dirty
            and not self._checkpoint_writer.writing
        )

    def committed(self, checkpoints: Sequence[Checkpoint]) -> None:
        """These are written."""
        for checkpoint in checkpoints:
            self._mine += checkpoint.usage.cost_picousd + checkpoint.doubt.cost_picousd

    async def are_gone(self) -> bool:
        """Whether there is no money left and none to be had.

        Hears what others have spent, owns up for the dead, and asks again while the living hold
        reservations.
        """
        if self._job.budget_picousd is None:
            return False
        if self._shared:
            tally = await self._store.tally(self._job.id)
            spent = tally.usage.cost_picousd + tally.doubt.cost_picousd
            self._run_budget.elsewhere_picousd = max(0, spent - self._base - self._mine)
        if not self.exhausted:
            return False
        if await self._take_over() or (
            self._shared and await self._store.reserved(self._job.id, except_owner=self._owner)
        ):
            self._checkpoint_writer.ask_again()
            return False
        return True
