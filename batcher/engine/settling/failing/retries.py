"""How a call is sent again: at once, after a while, or in halves."""

from __future__ import annotations

from collections.abc import Iterator

from batcher.core.failures.verdicts import Chance, backoff_seconds
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter


class Retries:
    """Puts calls back into the queue."""

    def __init__(
        self, queue: CallQueue, checkpoint_writer: CheckpointWriter, chance: Chance
    ) -> None:
        """``chance`` is for backoff's jitter."""
        self._queue = queue
        self._checkpoint_writer = checkpoint_writer
        self._chance = chance

    def again(self, call: Call) -> None:
        """Send the call again as soon as it may be."""
        self._queue.again(call)

    def later(self, call: Call, tries: int, at_least_seconds: float = 0.0) -> None:
        """Send the call again after backoff: the longer, the more tries there were."""
        seconds = backoff_seconds(tries, self._chance)
        self._queue.again(call, max(seconds, at_least_seconds))

    def divide(self, call: Call, *, last: bool = False) -> None:
        """Send two halves instead of the call, before all others or as the ``last``.

        Where it was cut is written down first, so that whoever owns the shard next cuts there.
        """
        first, second = call.halves()
        call.shard.record_cut(second.pieces[0])
        mark = self._checkpoint_writer.promise()
        for half in (first, second) if last else (second, first):
            half.after_flush = mark
            self._queue.again(half, last=last)

    def waiting(self) -> Iterator[Call]:
        """The calls that wait to be sent."""
        return self._queue.waiting()

    def wake(self) -> None:
        """Something changed that whoever sends should look at."""
        self._queue.wake()
