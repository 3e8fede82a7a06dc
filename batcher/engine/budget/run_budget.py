"""What one run may still spend: a last look at every request before it leaves.

The store reserves money for first sends, ahead of time and for all owners of a job. What it cannot
know is what is sent again: after a timeout that may have been billed, or to repair an answer. Here
each request must be paid for by what is left, everything in flight at its worst.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from batcher.engine.shards.call import Call


@dataclass(slots=True, kw_only=True)
class RunBudget:
    """Money in picodollars; ``spent_picousd`` includes what is in doubt.

    ``elsewhere_picousd`` is what others have spent of it since this run began, as last heard.
    ``worst_of`` is the most that a call may cost; it is asked only where there is a budget.
    """

    budget_picousd: int | None
    spent_picousd: int
    worst_of: Callable[[Call], int] = field(repr=False)
    at_risk_picousd: int = 0
    elsewhere_picousd: int = 0

    def affords(self, call: Call) -> bool:
        """Whether the call can be paid for whatever becomes of those in flight."""
        if self.budget_picousd is None:
            return True
        committed = self.spent_picousd + self.elsewhere_picousd + self.at_risk_picousd
        return committed + self.worst_of(call) <= self.budget_picousd

    def send(self, call: Call) -> None:
        """The call leaves."""
        if self.budget_picousd is not None:
            call.at_risk_picousd = self.worst_of(call)
            self.at_risk_picousd += call.at_risk_picousd

    def land(self, call: Call) -> None:
        """The call is over, and what it cost is recorded."""
        if self.budget_picousd is not None:
            self.at_risk_picousd -= call.at_risk_picousd

    def pay(self, picousd: int) -> None:
        """An answer cost this, or may have."""
        self.spent_picousd += picousd
