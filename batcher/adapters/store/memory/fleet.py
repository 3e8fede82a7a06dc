"""The verbs of :class:`batcher.ports.FleetStore` in dictionaries."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from batcher.adapters.store.lifecycle import DEAD_KEPT_SECONDS, utc, works_for
from batcher.core.model import JobState
from batcher.ports import WorkerState

if TYPE_CHECKING:
    from batcher.adapters.store.memory.jobs import Entry
    from batcher.ports import Clock, WorkerCard


class MemoryFleet:
    """Workers of one process, which is all that can share this store."""

    _clock: Clock
    _entries: dict[str, Entry]

    def __init__(self) -> None:
        self._workers: dict[str, tuple[WorkerCard, float, float]] = {}

    async def waiting_jobs(self) -> list[str]:
        """See :meth:`batcher.ports.FleetStore.waiting_jobs`."""
        now = self._clock.wall()
        waiting = []
        for entry in self._entries.values():
            shards = [shard for shard in entry.shards.values() if shard.open]
            free = any(s.expires_at is None or s.expires_at <= now for s in shards)
            over = entry.job.planned and not shards
            if entry.job.state is JobState.OPEN and (free or over):
                waiting.append(entry.job)
        return [job.id for job in sorted(waiting, key=lambda job: (job.created_at, job.id))]

    async def reserved(self, job_id: str, *, except_owner: str) -> int:
        """See :meth:`batcher.ports.FleetStore.reserved`."""
        now = self._clock.wall()
        entry = self._entries.get(job_id)
        shards = [] if entry is None else entry.shards.values()
        return sum(
            shard.checkpoint_state.reserved_picousd
            for shard in shards
            if shard.open
            and shard.owner not in {None, except_owner}
            and shard.expires_at is not None
            and shard.expires_at > now
        )

    async def due_jobs(self) -> list[str]:
        """See :meth:`batcher.ports.FleetStore.due_jobs`."""
        now = utc(self._clock.wall())
        return [
            entry.job.id
            for entry in self._entries.values()
            if entry.job.state is JobState.PAUSED
            and entry.job.resume_at is not None
            and entry.job.resume_at <= now
        ]

    async def beat(self, card: WorkerCard, ttl_seconds: float) -> None:
        """See :meth:`batcher.ports.FleetStore.beat`."""
        now = self._clock.wall()
        self._workers[card.name] = (card, now, now + ttl_seconds)

    async def leave(self, name: str) -> None:
        """See :meth:`batcher.ports.FleetStore.leave`."""
        self._workers.pop(name, None)

    async def workers(self) -> list[WorkerState]:
        """See :meth:`batcher.ports.FleetStore.workers`."""
        now = self._clock.wall()
        cards = sorted(self._workers.values(), key=lambda w: (w[0].started_at, w[0].name))
        return [
            WorkerState(
                card=card, seen_at=utc(seen), alive=now < until, holds=self._holds(card.name)
            )
            for card, seen, until in cards
            if now < until + DEAD_KEPT_SECONDS
        ]

    def lives(self, owner: str) -> bool:
        """Whether the owner of a lease is a worker that shows itself."""
        now = self._clock.wall()
        workers = self._workers.values()
        return any(now < until and works_for(owner, card.name) for card, _, until in workers)

    def _holds(self, name: str) -> dict[str, int]:
        return Counter(
            entry.job.id
            for entry in self._entries.values()
            for shard in entry.shards.values()
            if shard.open and shard.owner is not None and works_for(shard.owner, name)
        )
