"""The one writer of checkpoints: gathers what the shards settled and commits it, in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from batcher.engine.byte_room import ByteRoom
from batcher.engine.shards.allowance import (
    INTERVAL_SECONDS,
    Allowance,
    Reservations,
    share_out,
)
from batcher.engine.shards.held_shards import HeldShards
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.wakeup import Wakeup
from batcher.ports import Checkpoint, Clock

GROUP_BYTES = 1_000_000
_BACKLOG_BYTES = 64_000_000


class CheckpointWriter:
    """Checkpoints of one job's leased shards.

    ``flushed`` numbers the last commit; :meth:`promise` the first that will hold what is recorded
    now.
    """

    def __init__(
        self,
        held: HeldShards,
        reservations: Reservations,
        *,
        clock: Clock,
        room: ByteRoom,
        on_flush: Callable[[Sequence[Checkpoint], float], None],
    ) -> None:
        """``room`` is the memory that results take until they are written.

        ``on_flush`` is told what was committed and the seconds that it took.
        """
        self._held = held
        self._reservations = reservations
        self._allowance = Allowance()
        self._clock = clock
        self._room = room
        self._on_flush = on_flush
        self._wakeup = Wakeup()
        self._lock = asyncio.Lock()
        self._urgent = False
        self._pending_bytes = 0
        self._started = 0
        self.flushed = 0

    @property
    def budget_short(self) -> bool:
        """Whether there was no money at the last commit for what was to be allowed."""
        return self._reservations.budget_short

    @property
    def shards(self) -> Iterable[LeasedShard]:
        """The shards that are leased and not finished, in the order they were claimed."""
        return self._held.all

    @property
    def dirty(self) -> bool:
        """Whether anything is recorded that is not committed."""
        return self._held.are_dirty

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
        self._held.by_id[shard.id] = shard
        if shard.finished:
            shard.dirty = True
        self.request()

    def note_sent(self, shard: LeasedShard) -> None:
        """One more unit of the shard was sent for the first time."""
        shard.worklist.next_unit += 1
        if self._allowance.note_sent():
            self.request()

    def note_result(self, size_bytes: int) -> None:
        """Results of this size were recorded."""
        self._pending_bytes += size_bytes
        self._room.keep(size_bytes)
        if self._pending_bytes >= GROUP_BYTES:
            self._wakeup.set()

    def lose(self, shard: LeasedShard) -> None:
        """The shard is somebody else's."""
        self._held.lose(shard)

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
        self._reservations.budget_short = False
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
            if release:
                self._allowance.ahead = 0
            else:
                self._allowance.renew(self._clock.now())
            self._urgent = False
            pending, self._pending_bytes = self._pending_bytes, 0
            self._held.drop_lost()
            batch = self._gather(release)
            began = self._clock.now()
            try:
                stale = await self._reservations.commit(batch, self._held.by_id, self._allowance)
            finally:
                self._room.wrote(pending)
            seconds = self._clock.now() - began
            self._forget(batch, stale)
            self._allowance.granted(self._held.all)
            self.flushed = self._started
        self._on_flush([entry for entry in batch if entry.shard_id not in stale], seconds)

    def _gather(self, release: bool) -> list[Checkpoint]:
        """What the shards have to say, or are to be allowed."""
        shares = share_out(self._held.all, self._allowance.ahead)
        return [
            self._take(shard, shares[shard.id], release)
            for shard in self._held.all
            if shard.dirty or release or shares[shard.id] != shard.worklist.sent_through
        ]

    def _take(self, shard: LeasedShard, sent_through: int, release: bool) -> Checkpoint:
        # A smaller allowance holds from now on, a larger one only once it is committed.
        worklist = shard.worklist
        worklist.sent_through = min(worklist.sent_through, sent_through)
        checkpoint = shard.take_checkpoint(sent_through=sent_through, released=release)
        if release:
            return checkpoint
        return self._reservations.reserving(checkpoint, shard, sent_through)

    def _forget(self, batch: Sequence[Checkpoint], stale: set[int]) -> None:
        for checkpoint in batch:
            shard = self._held.by_id[checkpoint.shard_id]
            if checkpoint.shard_id in stale:
                self._held.lose(shard)
            else:
                shard.worklist.sent_through = checkpoint.sent_through
                shard.worklist.reserved_picousd = checkpoint.reserved_picousd
            if shard.lost or checkpoint.finished or checkpoint.released:
                self._held.drop(checkpoint.shard_id)
