"""Shards in the store, cut by who uses them: planned, leased, checkpointed, read.

The fence alone decides who may write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from batcher.core.errors import DamagedStore
from batcher.core.model import DeadLetter, Doubt, FailureCount, Usage
from batcher.core.progress import ShardEvent
from batcher.ports.planning import NewShard
from batcher.ports.reuse import AnsweredPiece


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A claimed shard with everything its new owner needs.

    ``events`` are all events of its checkpoints in order. ``sent_fence`` and ``sent_through`` say
    what the last lease was allowed to send; ``sent_through`` is 0 where that lease ended cleanly.
    ``outline``, ``prompts`` and ``contents`` are those of its
    :class:`batcher.ports.planning.EncodedPlan`; ``prompts`` is None in plans of versions that kept
    them in the outline, and so is ``contents`` there and wherever they were not asked for.
    """

    shard_id: int
    ordinal: int
    fence: int
    expires_at: float
    outline: bytes = field(repr=False)
    prompts: bytes | None = field(repr=False)
    events: Sequence[ShardEvent]
    sent_fence: int
    sent_through: int
    contents: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What one shard gained since its last checkpoint, committed whole or not at all.

    ``results`` is the blob of the event's ``done`` pieces (opaque to the store). ``sent_through``
    replaces the lease's allowance; ``reserved_picousd`` is the worst case of what is allowed and
    unanswered. ``finished`` closes the shard; ``released`` gives the lease back. Both end the
    lease cleanly: its allowance becomes 0.

    ``seq`` ascends within a lease, from any number not below 0. ``dead`` is parallel to the
    event's ``dead``. What the event names as ``reopened`` had results, which count no more;
    ``rows_done`` may be negative then. ``bills`` is what the pieces cost that were answered (opaque
    to the store; None where that is not kept): it counts whatever becomes of their results.

    ``answered`` is for whoever keeps results for later jobs, and empty where nobody does: what was
    answered and is certain by now, by content. The store writes nothing of it by itself; one that
    was opened with something that keeps answers hands it these within the same transaction, of
    each checkpoint that counts once.
    """

    shard_id: int
    fence: int
    seq: int
    event: ShardEvent
    results: bytes = field(repr=False)
    dead: Sequence[DeadLetter]
    usage: Usage
    doubt: Doubt
    rows_done: int
    sent_through: int
    reserved_picousd: int = 0
    finished: bool = False
    released: bool = False
    bills: bytes | None = field(default=None, repr=False)
    answered: Sequence[AnsweredPiece] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShard:
    """A shard as the export reads it: its outline, and every result blob with the pieces in it.

    Blobs whose pieces were all reopened are not among ``results``, nor are those that are not what
    was written: ``damage`` says so. Where the plan itself is not, nothing else may be relied on:
    ``outline`` is empty. ``bills`` are those of all checkpoints that have some, in their order.
    """

    ordinal: int
    first_row: int
    rows: int
    outline: bytes = field(repr=False)
    columns: bytes | None = field(repr=False)
    results: Sequence[tuple[tuple[int, ...], bytes]] = field(repr=False)
    dead_rows: frozenset[int]
    bills: Sequence[bytes] = field(default=(), repr=False)
    damage: DamagedStore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardOutline:
    """A shard without its results and prompts: the pieces that are done, the rows that failed.

    ``outline`` and ``contents`` are those of its :class:`batcher.ports.planning.EncodedPlan`.
    ``dead_rows``, which have dead letters, are numbered within the job.
    """

    ordinal: int
    first_row: int
    rows: int
    outline: bytes = field(repr=False)
    contents: bytes | None = field(repr=False)
    done: frozenset[int]
    dead_rows: frozenset[int]


class BudgetShort(Exception):
    """The budget does not cover what was asked for; ``available_picousd`` is what is left of it."""

    def __init__(self, available_picousd: int) -> None:
        """``available_picousd`` may be negative after a doubt that exceeded its reservation."""
        super().__init__(available_picousd)
        self.available_picousd = available_picousd


class PlanLeases(Protocol):
    """What whoever wants a job's plan for himself needs."""

    async def lease_plan(
        self, job_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> int | None:
        """The right to plan, as a fence; None while another owner's right has not expired.

        A right may be claimed when the database's clock is at or past its expiry; to its own
        owner it is extended, under the same fence. Writing ``planned`` gives it back.

        A claim counts in the job's ``plan_tries``, which each shard that is written, and a RESUME,
        sets back to 0. An owner that gives its right back ``unblamed``, ended by no fault of the
        plan's, takes its claim out of the count.
        """
        ...


class PlanStore(PlanLeases, Protocol):
    """What whoever plans a job needs."""

    async def add_shard(
        self, job_id: str, fence: int, shard: NewShard | None, *, next_row: int, planned: bool
    ) -> bool:
        """Write a shard (None: only the cursor) and the plan's cursor in one transaction.

        Dead letters found in planning come with their shard, and so do results that are carried
        over: as a checkpoint under fence 0, which is before every lease. A shard whose every piece
        is carried is finished and never leased. The first of them sets the job's ``started_at``.

        False where the fence is stale, the job is planned already, the ordinal is not the cursor's
        or ``next_row`` lies before it: nothing was written. The last one sent again, just as it
        was, counts once, and is True.
        """
        ...


class LeaseStore(Protocol):
    """What whoever works on shards needs to have them."""

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
        """Lease up to ``limit`` claimable open shards, lowest ordinal first.

        Claimable: never leased, given back, or at or past its expiry; with ``expired_only`` the
        last of these alone, whose owner has died. Fence + 1 at every grant. Shards of the ids in
        ``exclude`` are none: whoever holds one renews it, however late, and must not get it anew.
        None where the job is not open. The first lease of a job sets its ``started_at``. With
        ``contents`` the leases have the rows' content hashes.
        """
        ...

    async def renew(self, owner: str, shard_ids: Sequence[int], ttl_seconds: float) -> set[int]:
        """Extend the leases that ``owner`` still holds; returns those shard ids."""
        ...

    async def reclaim(self, job_id: str, *, except_owner: str) -> int:
        """Expire the leases (and the plan's) of every other owner: they are known to be dead.

        Those of a worker that is alive (:class:`FleetStore`) stay. Returns how many shards were
        leased. Their fences and allowances stay as they are.
        """
        ...


class CheckpointStore(Protocol):
    """What whoever writes results, or takes dead letters back, needs."""

    async def checkpoint(self, job_id: str, checkpoints: Sequence[Checkpoint]) -> set[int]:
        """Commit all in one transaction; returns the shard ids whose fence was stale.

        A stale checkpoint writes nothing. One that is already there (same shard and fence, a seq
        not above the last) counts once. The shard's events, counters and allowance move with it.

        Committed money is what is spent, in doubt or reserved. A checkpoint adds ``usage`` and
        ``doubt`` and replaces the shard's reservation, that of a lost lease too. It asks for money
        unless its reservation is covered by what is left of the old one (old - usage - doubt, at
        least 0), or it allows no more requests than before (``sent_through``, counted from 0 in a
        new lease) and reserves no more than before. What is paid for is never refused: a batch in
        which nothing asks is always accepted.

        Raises:
            BudgetShort: something asks, and the whole batch would raise what is committed to more
                than the job's budget; nothing was written.
        """
        ...

    async def reopen_dead(self, job_id: str, *, codes: Collection[str] = ()) -> int:
        """Delete dead letters that are not final and reopen their shards, in one transaction.

        Each shard gets an event naming the reopened pieces under a new fence, which ends a lease
        of it. Letters that planning made stay, too: they are of no piece. Returns the number of
        dead letters deleted. The job's state stays: move it first; where it was completed since
        then, RETRY is applied once more. With ``codes``, only letters of these are.
        """
        ...


class ResultStore(Protocol):
    """What whoever reads plans and results needs."""

    def shards(self, job_id: str, *, from_row: int = 0) -> AsyncIterator[StoredShard]:
        """All shards with rows from that number on, by ordinal, each in a short transaction."""
        ...

    def outlines(self, job_id: str) -> AsyncIterator[ShardOutline]:
        """All shards by ordinal without their prompts and results, read likewise."""
        ...

    async def prompts(self, job_id: str, ordinal: int) -> bytes | None:
        """One shard's prompts; None where it is not there, or has none beside its outline."""
        ...

    async def shards_with_id(self, job_id: str, id_hash: bytes) -> list[int]:
        """The ordinals of the shards that may have a row whose id has that hash, in order.

        They are those with the hash among their ``ids`` (:class:`batcher.ports.EncodedPlan`), and
        those of versions that kept no hashes.
        """
        ...

    async def shard(self, job_id: str, ordinal: int) -> StoredShard | None:
        """One shard; None where the job has it not, or is gone."""
        ...


class FailureStore(Protocol):
    """What whoever tells of dead letters needs."""

    def dead_letters(
        self, job_id: str, *, after: tuple[int, int] | None = None
    ) -> AsyncIterator[DeadLetter]:
        """Dead letters by (row, chunk), those after the one ``after``."""
        ...

    async def failures(self, job_id: str) -> list[FailureCount]:
        """How many dead letters there are of each code, the most first, final ones apart."""
        ...

    async def failures_of(self, job_ids: Sequence[str]) -> dict[str, list[FailureCount]]:
        """:meth:`failures` of several jobs, by as few questions; who has none is left out."""
        ...


class ShardStore(PlanStore, LeaseStore, CheckpointStore, ResultStore, FailureStore, Protocol):
    """All of it."""
