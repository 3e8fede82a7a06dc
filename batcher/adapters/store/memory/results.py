"""The verbs of :class:`batcher.ports.ShardStore` that read what is done, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from batcher.adapters.store.lifecycle import unknown_job
from batcher.adapters.store.memory.jobs import Entry
from batcher.core.model import DeadLetter, FailureCount
from batcher.ports import ShardOutline, StoredShard


class MemoryResults:
    """Shards and dead letters."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    async def shards(self, job_id: str, *, from_row: int = 0) -> AsyncIterator[StoredShard]:
        """See :meth:`batcher.ports.ShardStore.shards`."""
        entry = self._entry(job_id)
        for shard in entry.from_row(from_row):
            yield shard.stored(entry.dead_rows(shard.id))

    async def outlines(self, job_id: str) -> AsyncIterator[ShardOutline]:
        """See :meth:`batcher.ports.ShardStore.outlines`."""
        entry = self._entry(job_id)
        for shard in entry.by_ordinal():
            yield shard.outline(entry.dead_rows(shard.id))

    async def shard(self, job_id: str, ordinal: int) -> StoredShard | None:
        """See :meth:`batcher.ports.ShardStore.shard`."""
        entry = self._entries.get(job_id)
        for shard in [] if entry is None else entry.by_ordinal():
            if entry is not None and shard.plan.ordinal == ordinal:
                return shard.stored(entry.dead_rows(shard.id))
        return None

    async def prompts(self, job_id: str, ordinal: int) -> bytes | None:
        """See :meth:`batcher.ports.ShardStore.prompts`."""
        entry = self._entries.get(job_id)
        found = [] if entry is None else [s.plan for s in entry.shards.values()]
        return next((plan.plan.prompts for plan in found if plan.ordinal == ordinal), None)

    async def shards_with_id(self, job_id: str, id_hash: bytes) -> list[int]:
        """See :meth:`batcher.ports.ShardStore.shards_with_id`."""
        entry = self._entries.get(job_id)
        return [] if entry is None else entry.with_id(id_hash)

    async def dead_letters(
        self, job_id: str, *, after: tuple[int, int] | None = None
    ) -> AsyncIterator[DeadLetter]:
        """See :meth:`batcher.ports.ShardStore.dead_letters`."""
        for key, (letter, _, _) in sorted(self._entry(job_id).dead.items(), key=lambda kv: kv[0]):
            if after is None or key > after:
                yield letter

    async def failures(self, job_id: str) -> list[FailureCount]:
        """See :meth:`batcher.ports.ShardStore.failures`."""
        return self._entry(job_id).failures()

    async def failures_of(self, job_ids: Sequence[str]) -> dict[str, list[FailureCount]]:
        """See :meth:`batcher.ports.ShardStore.failures_of`."""
        known = [job_id for job_id in job_ids if job_id in self._entries]
        return {job_id: found for job_id in known if (found := self._entries[job_id].failures())}

    def _entry(self, job_id: str) -> Entry:
        try:
            return self._entries[job_id]
        except KeyError:
            raise unknown_job(job_id) from None
