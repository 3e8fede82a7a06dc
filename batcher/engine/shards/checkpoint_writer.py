"""The one writer of checkpoints: gathers what the shards settled and commits it, in groups.

Every commit also says, ahead of time, how far each shard may be sent until the next one. Nothing
beyond that is sent, so after a crash the requests that may have been billed without a result are
known, and are no more than those in flight and those of one interval.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from batcher.engine.byte_room import ByteRoom
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.wakeup import Wakeup
from batcher.ports import BudgetShort, Checkpoint, Clock, Store

INTERVAL_SECONDS = 0.25
GROUP_BYTES = 1_000_000
_BACKLOG_BYTES = 64_000_000
_MOST_AHEAD = 4_096


class CheckpointWriter:
    """Checkpoints of one job's leased shards.

    ``flushed`` numbers the last commit; :meth:`promise` the first that will hold what is recorded
    now.
    """

    def __init__(
        self,
        *,
        store: Store,
        job_id: str,
        clock: Clock,
        room: ByteRoom,
        worst_case: Callable[[int], int] | None,
        on_flush: Callable[[Sequence[Checkpoint], float], None],
        on_lost: Callable[[LeasedShard], None],
    ) -> None:
        """``room`` is the memory that results take until they are written.

        ``worst_case`` gives picodollars for a piece's tokens, where the job has a budget.

        ``on_flush`` is told what was committed and the seconds that it took, ``on_lost`` of a
        shard that proved to be somebody else's by now.
        """
        self._store = store
        self._job_id = job_id
        self._clock = clock
        self._room = room
        self._worst_case = worst_case
        self._on_flush = on_flush
        self._on_lost = on_lost
        self._shards: dict[int, LeasedShard] = {}
        self._wakeup = Wakeup()
        self._lock = asyncio.Lock()
        self._urgent = False
        self._pending_bytes = 0
        self._ahead = 1
        self._left = 0
        self._low = -1
        self._sent = 0
        self._sent_lately: deque[tuple[float, int]] = deque()
        self._started = 0
        self.flushed = 0
        self.budget_short = False

    @property
    def shards(self) -> Iterable[LeasedShard]:
        """The shards that are leased and not finished, in the order they were claimed."""
        return self._shards.values()

    @property
    def dirty(self) -> bool:
        """Whether anything is recorded that is not committed."""
        return any(shard.dirty for shard in self._shards.values())

    @property
    def writing(self) -> bool:
        """Whether a commit is on its way, that may find more money than the last one did."""
        return self._lock.locked()

    @property
    def backlogged(self) -> bool:
        """Whether results wait for the disk; then nothing more should be sent."""
        return self._pending_bytes > _BACKLOG_BYTES or self._room.is_full

    def add(self, shard: LeasedShard) -> None:
        """Take a shard under care."""
        self._shards[shard.id] = shard
        if shard.finished:
            shard.dirty = True
        self.request()

    def note_sent(self, shard: LeasedShard) -> None:
        """One more unit of the shard was sent for the first time."""
        shard.next_unit += 1
        self._sent += 1
        self._left -= 1
        if self._left == self._low:
            self.request()  # soon enough that nobody waits for it

    def note_result(self, size_bytes: int) -> None:
        """Results of this size were recorded."""
        self._pending_bytes += size_bytes
        self._room.keep(size_bytes)
        if self._pending_bytes >= GROUP_BYTES:
            self._wakeup.set()

    def lose(self, shard: LeasedShard) -> None:
        """The shard is somebody else's."""
        if not shard.lost:
            shard.lost = True
            self._on_lost(shard)

    def request(self) -> None:
        """Commit now: somebody waits for an allowance or for a record to be written.

        While the budget is short only results can change anything, so a wait for them it is.
        """
        if self.budget_short and not self.dirty:
            return
        self._urgent = True
        self._wakeup.set()

    def ask_again(self) -> None:
        """There may be more money than at the last commit: others have settled meanwhile."""
        self.budget_short = False
        self.request()

    def promise(self) -> int:
        """The number of the commit that will hold all that is recorded by now."""
        return self._started + 1

    async def run(self) -> None:
        """Commit whenever asked, and four times a second while there is anything to say."""
        while True:
            await self._wakeup.wait(INTERVAL_SECONDS)
            if self._urgent or self.dirty:
                await self.flush()

    def close(self) -> None:
        """What is not written by now will not be: it takes no memory from other jobs any more."""
        self._room.wrote(self._pending_bytes)
        self._pending_bytes = 0

    async def flush(self, *, release: bool = False) -> None:
        """Commit everything recorded; with ``release`` give all leases back as well."""
        async with self._lock:
            self._started += 1
            self._ahead = 0 if release else self._next_ahead()
            self._urgent = False
            pending, self._pending_bytes = self._pending_bytes, 0
            for shard in [shard for shard in self._shards.values() if shard.lost]:
                self._shards.pop(shard.id).let_go()
            allowances = self._allowances(self._ahead)
            batch = [
                self._take(shard, allowances[shard.id], release)
                for shard in list(self._shards.values())
                if shard.dirty or release or allowances[shard.id] != shard.sent_through
            ]
            began = self._clock.now()
            try:
                stale = await self._commit(batch)
            finally:
                self._room.wrote(pending)
            seconds = self._clock.now() - began
            self._forget(batch, stale)
            self._left = sum(s.sent_through - s.next_unit for s in self._shards.values())
            more = any(s.sent_through < len(s.calls) for s in self._shards.values())
            self._low = self._ahead // 4 if more else -1
            self.flushed = self._started
        self._on_flush([entry for entry in batch if entry.shard_id not in stale], seconds)

    def _next_ahead(self) -> int:
        """How many units may be sent before the next commit: an interval's worth, no more.

        That is what was sent in the last interval, and one. Where that was too little the next
        commit comes at once and allows twice as much, so a fast start costs a handful.
        """
        now = self._clock.now()
        lately = self._sent_lately
        lately.append((now, self._sent))
        self._sent = 0
        while lately[0][0] < now - INTERVAL_SECONDS:
            lately.popleft()
        usual = 1 + sum(sent for _, sent in lately)
        return min(max(usual, self._ahead // 2), _MOST_AHEAD)

    def _allowances(self, ahead: int) -> dict[int, int]:
        """How far each shard may be sent, the oldest shard first."""
        allowances = {}
        for shard in self._shards.values():
            granted = min(shard.unsent, ahead)
            ahead -= granted
            allowances[shard.id] = shard.next_unit + granted
        return allowances

    def _take(self, shard: LeasedShard, sent_through: int, release: bool) -> Checkpoint:
        # A smaller allowance holds from now on, a larger one only once it is committed.
        shard.sent_through = min(shard.sent_through, sent_through)
        checkpoint = shard.take_checkpoint(sent_through=sent_through, released=release)
        return checkpoint if release else self._reserving(checkpoint, sent_through)

    def _reserving(self, checkpoint: Checkpoint, sent_through: int) -> Checkpoint:
        """The checkpoint with another allowance, and the worst case of that reserved.

        What is allowed already does not ask for more, if a request proves to cost more than was
        thought when it was: such a checkpoint must never be refused.
        """
        reserved = 0
        if self._worst_case is not None:
            shard = self._shards[checkpoint.shard_id]
            reserved = shard.reserved(sent_through, self._worst_case)
            if sent_through <= shard.sent_through:
                reserved = min(reserved, shard.reserved_picousd)
        return dataclasses.replace(checkpoint, sent_through=sent_through, reserved_picousd=reserved)

    async def _commit(self, batch: list[Checkpoint]) -> set[int]:
        """Write the batch; where the budget is short, with ever smaller allowances."""
        ahead = self._ahead
        while batch:
            try:
                stale = await self._store.checkpoint(self._job_id, batch)
            except BudgetShort:
                ahead //= 2
                allowances = self._allowances(ahead)
                batch[:] = [self._reserving(each, allowances[each.shard_id]) for each in batch]
            else:
                self.budget_short = ahead < min(self._ahead, 1)
                self._ahead = max(ahead, 1)
                return stale
        self.budget_short = False
        return set()

    def _forget(self, batch: list[Checkpoint], stale: set[int]) -> None:
        for checkpoint in batch:
            shard = self._shards[checkpoint.shard_id]
            if checkpoint.shard_id in stale:
                self.lose(shard)
            else:
                shard.sent_through = checkpoint.sent_through
                shard.reserved_picousd = checkpoint.reserved_picousd
            if shard.lost or checkpoint.finished or checkpoint.released:
                self._shards.pop(checkpoint.shard_id).let_go()
