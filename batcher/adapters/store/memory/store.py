"""A store that lives and dies with its process; it passes the same contract suite as SQL.

No verb awaits anything, so each is one transaction as far as other tasks can see.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from batcher.adapters.store.codec import job_row, job_value
from batcher.adapters.store.lifecycle import is_there_already, unknown_job, utc
from batcher.adapters.store.memory.deliveries import MemoryDeliveries
from batcher.adapters.store.memory.fleet import MemoryFleet
from batcher.adapters.store.memory.jobs import Entry, Shard
from batcher.adapters.store.memory.orders import MemoryOrders
from batcher.adapters.store.memory.results import MemoryResults
from batcher.adapters.store.settlement import PLANNED, JobBudget, settle
from batcher.core.errors import IllegalTransition
from batcher.core.job.filter import EVERY_JOB, JobFilter
from batcher.core.model import (
    Job,
    JobEvent,
    JobState,
    Learned,
    StopCause,
    Tally,
)
from batcher.ports import Checkpoint, Clock, Lease, NewShard, Space

if TYPE_CHECKING:
    from types import TracebackType


class MemoryStore(MemoryFleet, MemoryOrders, MemoryResults, MemoryDeliveries):
    """Jobs and shards in dictionaries: for tests, and for runs that nobody will resume."""

    def __init__(self, clock: Clock) -> None:
        """``clock.wall`` is what leases expire by."""
        MemoryFleet.__init__(self)
        MemoryOrders.__init__(self)
        MemoryResults.__init__(self)
        MemoryDeliveries.__init__(self)
        self._clock = clock
        self._shards_made = 0

    def __repr__(self) -> str:
        return f"MemoryStore(jobs={len(self._entries)}, shards={self._shards_made})"

    async def __aenter__(self) -> MemoryStore:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def room_bytes(self) -> None:
        """See :meth:`batcher.ports.Store.room_bytes`: there is no disk."""

    async def close(self) -> None:
        """Nothing to release; what is stored stays readable."""

    # --- jobs ---------------------------------------------------------------------------------

    async def open_job(self, job: Job, *, fresh: bool) -> tuple[Job, bool]:
        """See :meth:`batcher.ports.JobStore.open_job`."""
        return self._insert(job, fresh=fresh)

    def _insert(self, job: Job, *, fresh: bool) -> tuple[Job, bool]:
        going = self._going(job.fingerprint, job.name)
        if going and not fresh:
            entry = self._entries[going[-1].id]
            entry.job = replace(entry.job, name=entry.job.name or job.name)
            return entry.job, False
        as_stored = job_value(job_row(job))  # a spec that JSON does not keep fails here, too
        alike = [e.job for e in self._entries.values() if e.job.fingerprint == job.fingerprint]
        made = replace(as_stored, generation=1 + max([0, *(other.generation for other in alike)]))
        self._entries[job.id] = Entry(job=made)
        return made, True

    async def newest(self, fingerprint: str, name: str | None) -> Job | None:
        """See :meth:`batcher.ports.JobStore.newest`."""
        going = self._going(fingerprint, name)
        return going[-1] if going else None

    def _going(self, fingerprint: str, name: str | None) -> list[Job]:
        """The uncancelled jobs of a fingerprint that may bear the name, the newest last."""
        going = [
            entry.job
            for entry in self._entries.values()
            if entry.job.fingerprint == fingerprint
            and entry.job.state is not JobState.CANCELLED
            and (name is None or entry.job.name in (name, None))
        ]
        return sorted(going, key=lambda job: job.generation)

    async def last_complete(self, name: str) -> Job | None:
        """See :meth:`batcher.ports.JobStore.last_complete`."""
        ended = [
            (entry.job.finished_at, entry.job.created_at, entry.job.id)
            for entry in self._entries.values()
            if entry.job.name == name
            and entry.job.state is JobState.COMPLETE
            and entry.job.finished_at is not None
        ]
        return self._entries[max(ended)[2]].job if ended else None

    async def job(self, job_id: str) -> Job:
        """See :meth:`batcher.ports.JobStore.job`."""
        if job_id in self._entries:
            return self._entries[job_id].job
        found = [e.job for id_, e in self._entries.items() if job_id and id_.startswith(job_id)]
        if len(found) != 1:
            raise unknown_job(job_id, several=len(found) > 1)
        return found[0]

    async def jobs(
        self, *, limit: int = 100, wanted: JobFilter = EVERY_JOB, after: str | None = None
    ) -> list[Job]:
        """See :meth:`batcher.ports.JobStore.jobs`."""
        jobs = [entry.job for entry in self._entries.values() if wanted.takes(entry.job)]
        if after is not None:
            last = _age(self._entry(after).job)
            jobs = [job for job in jobs if _age(job) < last]
        return sorted(jobs, key=_age, reverse=True)[:limit]

    async def move(
        self,
        job_id: str,
        event: JobEvent,
        *,
        cause: StopCause | None = None,
        reason: str | None = None,
        resume_at: datetime | None = None,
    ) -> Job:
        """See :meth:`batcher.ports.JobStore.move`."""
        entry = self._entry(job_id)
        self._move(entry, event, cause=cause, reason=reason, resume_at=resume_at)
        return entry.job

    async def complete(self, job_id: str) -> bool:
        """See :meth:`batcher.ports.JobStore.complete`."""
        entry = self._entry(job_id)
        if not entry.job.planned or any(shard.open for shard in entry.shards.values()):
            return False
        try:
            self._move(entry, JobEvent.COMPLETE)
        except IllegalTransition:
            return False
        return True

    async def learn(self, job_id: str, learned: Learned) -> None:
        """See :meth:`batcher.ports.JobStore.learn`."""
        entry = self._entry(job_id)
        entry.job = replace(entry.job, learned=learned)

    async def set_budget(self, job_id: str, budget_picousd: int | None) -> None:
        """See :meth:`batcher.ports.JobStore.set_budget`."""
        entry = self._entry(job_id)
        entry.job = replace(entry.job, budget_picousd=budget_picousd)

    async def set_output(self, job_id: str, output: str) -> None:
        """See :meth:`batcher.ports.JobStore.set_output`."""
        entry = self._entry(job_id)
        entry.job = replace(entry.job, output=output)

    async def tally(self, job_id: str) -> Tally:
        """See :meth:`batcher.ports.JobStore.tally`."""
        return self._entry(job_id).tally()

    async def tallies(self, job_ids: Sequence[str]) -> dict[str, Tally]:
        """See :meth:`batcher.ports.JobStore.tallies`."""
        return {job_id: await self.tally(job_id) for job_id in job_ids if job_id in self._entries}

    async def purge(self, job_id: str) -> None:
        """See :meth:`batcher.ports.JobStore.purge`."""
        self._entries.pop(job_id, None)
        self._forget_orders(job_id)
        self._forget_delivery(job_id)

    async def purge_all(self, job_ids: Sequence[str]) -> None:
        """See :meth:`batcher.ports.JobStore.purge_all`."""
        for job_id in job_ids:
            await self.purge(job_id)

    async def give_back(self) -> Space:
        """See :meth:`batcher.ports.JobStore.give_back`."""
        return Space()

    # --- planning -----------------------------------------------------------------------------

    async def lease_plan(
        self, job_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> int | None:
        """See :meth:`batcher.ports.ShardStore.lease_plan`."""
        entry = self._entry(job_id)
        now = self._clock.wall()
        held = entry.plan_expires_at is not None and now < entry.plan_expires_at
        taken_up = entry.plan_owner != owner
        if taken_up and held:
            return None
        forgiven = unblamed and held and entry.job.plan_tries > 0
        entry.plan_fence += taken_up
        entry.job = replace(entry.job, plan_tries=entry.job.plan_tries + taken_up - forgiven)
        entry.plan_owner = owner
        entry.plan_expires_at = now + ttl_seconds
        return entry.plan_fence

    async def add_shard(
        self, job_id: str, fence: int, shard: NewShard | None, *, next_row: int, planned: bool
    ) -> bool:
        """See :meth:`batcher.ports.ShardStore.add_shard`."""
        entry = self._entry(job_id)
        job = entry.job
        if fence != entry.plan_fence:
            return False
        ordinal = None if shard is None else shard.ordinal
        if is_there_already(job, ordinal, next_row=next_row, planned=planned):
            return True
        if job.planned or next_row < job.plan_row:
            return False
        if shard is not None:
            if shard.ordinal != job.plan_shard:
                return False
            self._shards_made += 1
            entry.shards[self._shards_made] = Shard.of(shard, self._shards_made)
            entry.bury(((letter, PLANNED) for letter in shard.dead), self._shards_made)
        started_at = job.started_at
        if shard is not None and shard.carried is not None and started_at is None:
            started_at = utc(self._clock.wall())
        entry.job = replace(
            job,
            started_at=started_at,
            plan_row=next_row,
            plan_shard=job.plan_shard + (shard is not None),
            planned=planned,
            plan_tries=0,
        )
        if planned:
            entry.plan_owner = entry.plan_expires_at = None
        return True

    # --- leasing ------------------------------------------------------------------------------

    async def claim(
        self,
        job_id: str,
        owner: str,
        *,
        limit: int,
        ttl_seconds: float,
        expired_only: bool = False,
        exclude: Collection[int] = (),
        contents: bool = False,
    ) -> list[Lease]:
        """See :meth:`batcher.ports.ShardStore.claim`."""
        entry = self._entry(job_id)
        if entry.job.state is not JobState.OPEN:
            return []
        now = self._clock.wall()
        claimable = [
            shard
            for shard in entry.shards.values()
            if shard.open
            and shard.id not in exclude
            and (not expired_only if shard.expires_at is None else shard.expires_at <= now)
        ]
        claimable.sort(key=lambda shard: shard.plan.ordinal)
        leases = [
            shard.grant(owner, now + ttl_seconds, contents=contents) for shard in claimable[:limit]
        ]
        if leases and entry.job.started_at is None:
            entry.job = replace(entry.job, started_at=utc(now))
        return leases

    async def renew(self, owner: str, shard_ids: Sequence[int], ttl_seconds: float) -> set[int]:
        """See :meth:`batcher.ports.ShardStore.renew`."""
        wanted = set(shard_ids)
        held = [
            shard
            for entry in self._entries.values()
            for shard_id, shard in entry.shards.items()
            if shard_id in wanted and shard.owner == owner
        ]
        for shard in held:
            shard.expires_at = self._clock.wall() + ttl_seconds
        return {shard.id for shard in held}

    async def reclaim(self, job_id: str, *, except_owner: str) -> int:
        """See :meth:`batcher.ports.ShardStore.reclaim`."""
        entry = self._entry(job_id)
        if entry.plan_owner not in {None, except_owner}:
            entry.plan_owner = entry.plan_expires_at = None
        lost = [
            shard
            for shard in entry.shards.values()
            if shard.owner is not None
            and shard.owner != except_owner
            and not self.lives(shard.owner)
        ]
        for shard in lost:
            shard.owner = shard.expires_at = None
        return len(lost)

    # --- progress -----------------------------------------------------------------------------

    async def checkpoint(self, job_id: str, checkpoints: Sequence[Checkpoint]) -> set[int]:
        """See :meth:`batcher.ports.ShardStore.checkpoint`."""
        entry = self._entries.get(job_id)
        if entry is None:
            return {checkpoint.shard_id for checkpoint in checkpoints}
        job_budget = None
        if entry.job.budget_picousd is not None:
            job_budget = JobBudget(
                budget_picousd=entry.job.budget_picousd,
                committed_picousd=sum(s.committed_picousd() for s in entry.shards.values()),
            )
        concerned = {checkpoint.shard_id for checkpoint in checkpoints} & entry.shards.keys()
        checkpoint_states = {
            shard_id: entry.shards[shard_id].checkpoint_state for shard_id in concerned
        }
        settlement = settle(checkpoints, checkpoint_states, job_budget)
        for new, checkpoint_state in settlement.fresh:
            shard = entry.shards[new.shard_id]
            shard.checkpoint_state = checkpoint_state
            shard.usage += new.usage
            shard.doubt += new.doubt
            shard.rows_done += new.rows_done
            shard.pieces_done += len(new.event.done) - len(new.event.reopened)
            shard.checkpoints.append((new.event, bytes(new.results)))
            if new.bills is not None:
                shard.bills.append(new.bills)
            if new.finished:
                shard.open = False
            if new.finished or new.released:
                shard.owner = shard.expires_at = None
            entry.bury(zip(new.dead, new.event.dead, strict=True), new.shard_id)
        return set(settlement.stale)

    async def reopen_dead(self, job_id: str, *, codes: Collection[str] = ()) -> int:
        """See :meth:`batcher.ports.ShardStore.reopen_dead`."""
        entry = self._entry(job_id)
        again = {
            key: item
            for key, item in entry.dead.items()
            if not item[0].final and item[2] != PLANNED and (not codes or item[0].code in codes)
        }
        pieces: dict[int, list[int]] = {}
        for key, (_, shard_id, piece) in again.items():
            del entry.dead[key]
            pieces.setdefault(shard_id, []).append(piece)
        for shard_id, reopened in pieces.items():
            entry.shards[shard_id].reopen(reopened)
        if again and entry.job.state is JobState.COMPLETE:
            self._move(entry, JobEvent.RETRY)
        return len(again)


def _age(job: Job) -> tuple[datetime, str]:
    """What jobs are listed by."""
    return job.created_at, job.id
