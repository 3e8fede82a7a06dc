"""How far leased shards may be sent until the next checkpoint, and what is reserved for that.

Every commit says so ahead of time. Nothing beyond it is sent, so after a crash the requests that
may have been billed without a result are known, and are no more than those in flight and those of
one interval.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from batcher.engine.shards.call import Call
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.ports import BudgetShort, Checkpoint

INTERVAL_SECONDS = 0.25
_MOST_AHEAD = 4_096


class Allowance:
    """An interval's worth of units, by what was sent in the last one.

    ``ahead`` is how many may be sent before the next commit.
    """

    def __init__(self) -> None:
        self.ahead = 1
        self._left = 0
        self._low = -1
        self._sent = 0
        self._sent_lately: deque[tuple[float, int]] = deque()

    def __repr__(self) -> str:
        """How much of it is left."""
        return f"<Allowance {self._left} of {self.ahead} left>"

    def note_sent(self) -> bool:
        """One more unit was sent for the first time; whether it is time to commit again.

        That is soon enough that nobody waits for it.
        """
        self._sent += 1
        self._left -= 1
        return self._left == self._low

    def renew(self, now: float) -> None:
        """Allow an interval's worth, no more.

        That is what was sent in the last interval, and one. Where that was too little the next
        commit comes at once and allows twice as much, so a fast start costs a handful.
        """
        lately = self._sent_lately
        lately.append((now, self._sent))
        self._sent = 0
        while lately[0][0] < now - INTERVAL_SECONDS:
            lately.popleft()
        usual = 1 + sum(sent for _, sent in lately)
        self.ahead = min(max(usual, self.ahead // 2), _MOST_AHEAD)

    def granted(self, shards: Iterable[LeasedShard]) -> None:
        """The shards have what was allowed, as far as there was money."""
        worklists = [shard.worklist for shard in shards]
        self._left = sum(worklist.unused for worklist in worklists)
        self._low = self.ahead // 4 if any(one.wants_more for one in worklists) else -1


def share_out(shards: Iterable[LeasedShard], ahead: int) -> dict[int, int]:
    """How far each shard may be sent, by its id, the oldest shard first."""
    allowances = {}
    for shard in shards:
        worklist = shard.worklist
        granted = min(worklist.unsent, ahead)
        ahead -= granted
        allowances[shard.id] = worklist.next_unit + granted
    return allowances


class Reservations:
    """Writes checkpoints with the worst case of what they allow, as far as there is money.

    ``budget_short``: at the last commit there was none for what was to be allowed.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Checkpoint]], Awaitable[set[int]]],
        worst_case: Callable[[Call, Sequence[int]], int] | None,
    ) -> None:
        """``write`` commits checkpoints and returns the shards that are somebody else's.

        It raises :class:`batcher.ports.BudgetShort` where the job's budget does not allow them.
        ``worst_case`` gives picodollars for pieces of a call, where the job has a budget.
        """
        self._write = write
        self._worst_case = worst_case
        self.budget_short = False

    def reserving(
        self, checkpoint: Checkpoint, shard: LeasedShard, sent_through: int
    ) -> Checkpoint:
        """The checkpoint with another allowance, and the worst case of that reserved.

        What is allowed already does not ask for more, if a request proves to cost more than was
        thought when it was: such a checkpoint must never be refused.
        """
        reserved = 0
        if self._worst_case is not None:
            reserved = shard.reserved(sent_through, self._worst_case)
            if sent_through <= shard.worklist.sent_through:
                reserved = min(reserved, shard.worklist.reserved_picousd)
        return dataclasses.replace(checkpoint, sent_through=sent_through, reserved_picousd=reserved)

    async def commit(
        self, batch: list[Checkpoint], shards: Mapping[int, LeasedShard], allowance: Allowance
    ) -> set[int]:
        """Write the batch; where the budget is short, with ever smaller allowances.

        Returns the shards that are somebody else's. ``batch`` is changed to what was written, and
        ``allowance`` to what it allows.
        """
        ahead = allowance.ahead
        while batch:
            try:
                stale = await self._write(batch)
            except BudgetShort:
                ahead //= 2
                shares = share_out(shards.values(), ahead)
                batch[:] = [
                    self.reserving(each, shards[each.shard_id], shares[each.shard_id])
                    for each in batch
                ]
            else:
                self.budget_short = ahead < min(allowance.ahead, 1)
                allowance.ahead = max(ahead, 1)
                return stale
        self.budget_short = False
        return set()
