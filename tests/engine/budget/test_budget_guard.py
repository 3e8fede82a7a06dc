"""When a run's money is gone: nothing is left here, nobody died with some, and nobody holds any."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from batcher.core.model import Doubt, Tally, Usage
from batcher.engine.budget.budget_guard import BudgetGuard
from batcher.engine.budget.job_budget import JobBudget
from batcher.engine.budget.run_budget import RunBudget
from batcher.ports import Checkpoint
from tests.engine.calls import a_shard


class Store:
    """What all workers have spent of a job, and what the others have reserved."""

    def __init__(self, spent: int = 0, reserved: int = 0) -> None:
        self.spent = spent
        self.held = reserved

    async def tally(self, job_id: str) -> Tally:
        del job_id
        return Tally(usage=Usage(cost_picousd=self.spent))

    async def reserved(self, job_id: str, *, except_owner: str) -> int:
        del job_id, except_owner
        return self.held


class Guarded:
    """A guard of 100 picodollars, of which the job had spent 10 when the run began."""

    def __init__(self, store: Store, *, shared: bool, left_by_dead: bool = False) -> None:
        self.asked_again = 0
        self.budget = RunBudget(budget_picousd=100, spent_picousd=10, worst_of=lambda call: 1)
        writer: Any = SimpleNamespace(dirty=False, writing=False, ask_again=self._ask_again)
        self.job_budget = JobBudget(
            store,
            "j",
            "me",
            spent_before=10,
            shared=shared,
        )

        async def take_over() -> bool:
            return left_by_dead

        self.guard = BudgetGuard(
            self.job_budget, self.budget, writer, unpaid=lambda: True, take_over=take_over
        )

    def _ask_again(self) -> None:
        self.asked_again += 1


def spent_here(picousd: int) -> Sequence[Checkpoint]:
    shard = a_shard(1)
    shard.record_doubt(Doubt(cost_picousd=picousd))
    return [shard.take_checkpoint(sent_through=0, released=False)]


async def test_alone_it_is_out_of_money_when_no_call_can_be_paid_for() -> None:
    guarded = Guarded(Store(), shared=False)
    assert await guarded.guard.is_out_of_money()
    assert guarded.asked_again == 0


async def test_while_others_hold_reservations_it_asks_again() -> None:
    store = Store(reserved=5)
    guarded = Guarded(store, shared=True)
    assert not await guarded.guard.is_out_of_money()
    assert guarded.asked_again == 1
    store.held = 0
    assert await guarded.guard.is_out_of_money()


async def test_what_a_dead_worker_reserved_is_taken_over_first() -> None:
    guarded = Guarded(Store(), shared=False, left_by_dead=True)
    assert not await guarded.guard.is_out_of_money()
    assert guarded.asked_again == 1


async def test_what_others_spent_counts_and_what_was_spent_here_does_not_count_twice() -> None:
    guarded = Guarded(Store(spent=75), shared=True)
    guarded.guard.committed(spent_here(25))
    await guarded.guard.is_out_of_money()
    assert guarded.budget.elsewhere_picousd == 75 - 10 - 25
