"""Whether a run has money left for what it still has to send, alone or beside others.

The store refuses what would exceed a job's budget. What it refuses now it may grant later: once
others have settled for less than they had reserved, or once somebody owns up for a dead one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from batcher.engine.budget.job_budget import JobBudget
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.ports import Checkpoint


class BudgetGuard:
    """Says when the money of one run is gone."""

    def __init__(
        self,
        job_budget: JobBudget,
        run_budget: RunBudget,
        checkpoint_writer: CheckpointWriter,
        *,
        unpaid: Callable[[], bool],
        take_over: Callable[[], Awaitable[bool]],
    ) -> None:
        """``unpaid`` tells whether calls wait, none is in flight and there is no money for any.

        ``take_over`` claims a shard and tells whether a dead owner had left something in it.
        """
        self._job_budget = job_budget
        self._run_budget = run_budget
        self._checkpoint_writer = checkpoint_writer
        self._unpaid = unpaid
        self._take_over = take_over

    def committed(self, checkpoints: Sequence[Checkpoint]) -> None:
        """These are written."""
        self._job_budget.committed(checkpoints)

    @property
    def exhausted(self) -> bool:
        """Whether calls wait and there is no money for any, as far as this run knows."""
        return (
            self._unpaid()
            and not self._checkpoint_writer.dirty
            and not self._checkpoint_writer.writing
        )

    async def is_out_of_money(self) -> bool:
        """Whether there is no money left and none to be had.

        Hears what others have spent, owns up for the dead, and asks again while the living hold
        reservations.
        """
        if self._run_budget.budget_picousd is None:
            return False
        self._run_budget.elsewhere_picousd = await self._job_budget.spent_elsewhere()
        if not self.exhausted:
            return False
        if await self._take_over() or await self._job_budget.is_reserved_elsewhere():
            self._checkpoint_writer.ask_again()
            return False
        return True
