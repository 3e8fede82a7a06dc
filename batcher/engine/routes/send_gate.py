"""Between the queue and a route: which calls may be sent, and how many are in flight.

What holds for every route: a call is sent only with money for its worst case, within the committed
allowance of its shard, and while results are not waiting for the disk.
"""

from __future__ import annotations

from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter


class SendGate:
    """The calls of one run on their way out. ``in_flight`` were sent and have not landed."""

    def __init__(
        self, queue: CallQueue, checkpoint_writer: CheckpointWriter, run_budget: RunBudget
    ) -> None:
        self.queue = queue
        self._checkpoint_writer = checkpoint_writer
        self._run_budget = run_budget
        self.in_flight = 0

    def __repr__(self) -> str:
        """How many are in flight, and what waits."""
        return f"<SendGate {self.in_flight} in flight, {self.queue!r}>"

    @property
    def is_alone(self) -> bool:
        """Whether no other call is in flight than the one that is being settled."""
        return self.in_flight <= 1

    @property
    def is_idle(self) -> bool:
        """Whether no call waits and none is in flight."""
        return not self.in_flight and not self.queue

    @property
    def unpaid(self) -> bool:
        """Whether calls wait, none is in flight, and there is no money for any."""
        queue = self.queue
        if self.in_flight or queue.has_repeats or not queue:
            return False
        return not any(self.is_paid(call) for call in queue.waiting())

    @property
    def written(self) -> int:
        """The number of the last checkpoint (:attr:`Call.after_flush`)."""
        return self._checkpoint_writer.flushed

    @property
    def is_blocked(self) -> bool:
        """Whether results wait for the disk: then nothing joins what is in flight."""
        return self._checkpoint_writer.backlogged and self.in_flight > 0

    def is_paid(self, call: Call) -> bool:
        """Whether there is money for the call, as far as is known."""
        allowed = call.shard.allows(call) or not self._checkpoint_writer.budget_short
        return allowed and self._run_budget.affords(call)

    def next(self, most: int) -> list[Call]:
        """The next ready calls; where money is short, those for which there is some.

        There must be so many.
        """
        queue = self.queue
        short = self._checkpoint_writer.budget_short
        if not short and self._run_budget.affords(queue.ready[0]):
            return queue.take(most)
        return queue.take_paid(most, self.is_paid)

    def move_due(self, now: float, *, behind: bool) -> None:
        """Make ready what is due; have written what calls wait for.

        Repeats go before first sends, or ``behind`` them.
        """
        if self.queue.move_due(now, self.written, behind=behind):
            self._checkpoint_writer.request()

    def ask_to_write(self) -> None:
        """A call waits for a checkpoint: for its allowance, its record, or its money."""
        self._checkpoint_writer.request()

    def sent(self, call: Call) -> None:
        """The call leaves; it is over when it has landed."""
        self.in_flight += 1
        self._run_budget.send(call)
        if call.unit_index == call.shard.worklist.next_unit:
            self._checkpoint_writer.note_sent(call.shard)

    def landed(self, call: Call) -> None:
        """What came back of the call, if anything, is dealt with."""
        self.in_flight -= 1
        self._run_budget.land(call)
        self.queue.wake()
