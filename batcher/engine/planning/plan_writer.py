"""The writer of a plan: shards into the store, under a lease of its own, from the cursor on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from batcher.core.errors import StoreError
from batcher.core.kind import Shape
from batcher.core.model import Job, JobState
from batcher.engine.job.endings import Endings, JobMoves, apply_ending
from batcher.engine.planning.handover import AnyPlanner
from batcher.engine.planning.planner import check_unchanged
from batcher.engine.reuse.strategies import filled
from batcher.ports import (
    Clock,
    GuardStopped,
    InputSource,
    NewShard,
    PlanLeases,
    PlanStore,
    Reuse,
    ReuseStrategy,
)

ROWS_AT_ONCE = 1_024
BYTES_AT_ONCE = 256_000
_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """What is left to plan: how to make the planner at the cursor, and what it reads.

    ``rows`` is where the plan ends; ``sha256`` what the input must hash to, None where the plan
    ends before the input does. ``shape`` is that of the results; ``reuse`` says which rows need no
    call.
    """

    make: Callable[[Job, Reuse | None], AnyPlanner]
    source: InputSource
    rows: int
    sha256: str | None
    shape: Shape
    reuse: ReuseStrategy | None = None


class PlannedJobs(JobMoves, PlanStore, Protocol):
    """What whoever writes a plan needs of a store."""


class PlanLease:
    """One owner's right to plan one job, renewed in time."""

    def __init__(
        self, store: PlanLeases, clock: Clock, job_id: str, owner: str, seconds: float
    ) -> None:
        """``seconds`` is how long it holds unless it is renewed."""
        self._store = store
        self._clock = clock
        self._owner = owner
        self._seconds = seconds
        self._renew_at = 0.0
        self.job_id = job_id

    async def obtain(self) -> int | None:
        """The right to plan, or more time for it, as a fence; None where another owner has it."""
        self._renew_at = self._clock.now() + self._seconds / 3
        return await self._store.lease_plan(self.job_id, self._owner, self._seconds)

    async def keep(self) -> None:
        """Renew the right, where it is time to."""
        if self._clock.now() >= self._renew_at:
            await self.obtain()


class PlanWriter:
    """One owner's work on one job's plan."""

    def __init__(
        self,
        planning: Planning,
        lease: PlanLease,
        store: PlannedJobs,
        clock: Clock,
        *,
        wrote: Callable[[NewShard], None],
        stop_at_dead: bool = False,
    ) -> None:
        """``wrote`` is called for each shard that is in the store.

        ``stop_at_dead`` pauses the job at a shard with rows that cannot be sent.
        """
        self._planning = planning
        self._lease = lease
        self._job_id = lease.job_id
        self._store = store
        self._clock = clock
        self._wrote = wrote
        self._stop_at_dead = stop_at_dead

    async def write(self) -> bool:
        """Write the plan to its end; False where another owner plans, or the job was stopped.

        Raises:
            batcher.core.errors.InputError: the input changed while it was being read.
            batcher.core.errors.BatcherError: the store or the input cannot be used.
        """
        fence = await self._lease.obtain()
        if fence is None:
            return False
        if self._planning.reuse is None:
            return await self._write(fence, None)
        async with self._planning.reuse.opened(self._lease.keep) as reuse:
            return await self._write(fence, reuse)

    async def _write(self, fence: int, reuse: Reuse | None) -> bool:
        """Write what is left, under this fence, with the results that there are already."""
        planning = self._planning
        job = await self._store.job(self._job_id)
        planner = planning.make(job, reuse)
        async with self._until_cancelled(planner), aclosing(_ahead(planner)) as shards:
            try:
                async for planned in shards:
                    shard = planned
                    if reuse is not None:
                        shard = await filled(planned, reuse, planning.shape)
                    await self._lease.keep()
                    if not await self._add(fence, shard, shard.first_row + shard.rows):
                        return False
                    self._wrote(shard)
                    if self._stop_at_dead and shard.dead:
                        await apply_ending(self._store, self._job_id, Endings.at_dead_letter())
                        return False
            except GuardStopped:
                return False
        all_rows = planner.next_row >= planning.rows
        read = planner.input_sha256
        check_unchanged(planning.source.name, read, planning.sha256, all_rows=all_rows)
        return await self._add(fence, None, planner.next_row)

    @asynccontextmanager
    async def _until_cancelled(self, planner: AnyPlanner) -> AsyncIterator[None]:
        """Stop the planner where somebody cancels the job, be it in the middle of a row."""

        async def look() -> None:
            while True:
                await self._clock.sleep(_LOOK_SECONDS)
                try:
                    job = await self._store.job(self._job_id)
                except StoreError:
                    continue  # whoever writes next says so
                if job.state is JobState.CANCELLED:
                    planner.stop()

        looking = asyncio.create_task(look(), name=f"looking at {self._job_id}")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _add(self, fence: int, shard: NewShard | None, next_row: int) -> bool:
        """Write a shard, or that there are no more."""
        return await self._store.add_shard(
            self._job_id, fence, shard, next_row=next_row, planned=shard is None
        )


async def _ahead(planner: AnyPlanner) -> AsyncGenerator[NewShard, None]:
    """The rest of a plan; what comes next is planned while the shards before it are written.

    The first shard comes alone, so that sending begins. Then shards of short rows come a few at a
    time: a thread has to win back the interpreter's lock from a busy event loop each time that it
    has waited for anything, which takes it longer than to plan one of them. Shards of long rows go
    on coming alone.
    """
    loop = asyncio.get_running_loop()
    following = loop.run_in_executor(None, planner.next_shards, 1, 1)
    try:
        while shards := await following:
            following = loop.run_in_executor(None, planner.next_shards, ROWS_AT_ONCE, BYTES_AT_ONCE)
            for shard in shards:
                yield shard
    finally:
        planner.stop()  # a row that is being rendered need not be waited for
        following.cancel()
