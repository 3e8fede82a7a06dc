"""The seams of the engine. Each docstring is the contract that every adapter's test suite checks.

Adapters implement these; the engine awaits them and knows nothing behind them. All times are
seconds: ``now`` is monotonic within a process, ``wall`` is Unix time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from batcher.core.bucket import Cost, Limits, Observation, Ticket
from batcher.core.kind import Field, Kind
from batcher.core.model import (
    BadRow,
    DeadLetter,
    Doubt,
    InputFacts,
    InputRow,
    Job,
    JobEvent,
    Learned,
    RowId,
    Tally,
    Usage,
)
from batcher.core.progress import ShardEvent


class Clock(Protocol):
    """Time, as a parameter."""

    def now(self) -> float:
        """Seconds on a monotonic clock."""
        ...

    def wall(self) -> float:
        """Unix time in seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` (at once where not positive, but yielding)."""
        ...


# --- throttle ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The answer to a reservation: send times for the first of the costs asked for.

    ``tickets`` has one ticket for each cost granted, in order (first come, first served; their
    ``send_at`` never decreases). Where it is shorter than the costs asked for, the rest lies
    beyond the horizon: ask again at ``come_back_at`` and not before.
    """

    tickets: tuple[Ticket, ...]
    come_back_at: float | None = None


class Throttle(Protocol):
    """One shared limit of requests and tokens, per quota, with a pause that stops everyone once.

    Times are on the process's monotonic clock (:meth:`Clock.now`).
    """

    async def reserve(self, quota: str, costs: Sequence[Cost]) -> Grant:
        """Reserve in one atomic step; nothing is sent without a ticket.

        During a pause no ticket is granted and ``come_back_at`` is the pause's end.
        """
        ...

    async def give_back(self, quota: str, tickets: Sequence[Ticket]) -> None:
        """Return tickets that will not be sent; their cost is free for others again."""
        ...

    async def settle(self, quota: str, ticket: Ticket, observation: Observation) -> None:
        """Tell what an answer taught: limits and remaining budget in its headers, its real usage.

        An answer that was not admitted (429) is settled too, with ``admitted=False``.
        """
        ...

    async def pause(
        self, quota: str, ticket: Ticket, *, until: float, slowly: bool = False
    ) -> bool:
        """A 429 came for this ticket: stop everyone until ``until``, once per epoch.

        Returns whether this call opened a new epoch (rates lowered once, older tickets void); a
        429 to a ticket of an earlier epoch only lengthens the pause and returns False. At the end
        of the pause the buckets are empty. ``slowly`` (a provider's ``slow_down``) lets the rates
        recover by 50% in 15 minutes, not by the usual share a second.
        """
        ...

    def is_void(self, quota: str, ticket: Ticket) -> bool:
        """Whether a pause has voided the ticket: do not send, reserve again. Memory only, no I/O."""
        ...

    def limits(self, quota: str) -> Limits:
        """The limits in force now and the share of them in use, for display. Memory only."""
        ...


# --- provider ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole HTTP answer. ``headers`` compare names without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Provider(Protocol):
    """The hot path to the API: one POST, one answer, no retries."""

    async def post(self, path: str, body: bytes) -> Reply:
        """Send and read the whole answer, whatever its status.

        Raises:
            batcher.core.errors.TransportError: no whole answer came.
        """
        ...


# --- tokenizer --------------------------------------------------------------------------------


class Tokenizer(Protocol):
    """Exact token counts; thread-safe, synchronous, never touches the network."""

    name: str

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text; special tokens in the text count as plain text."""
        ...

    def chunks(self, text: str, max_tokens: int) -> list[tuple[int, int, int]]:
        """Cut into consecutive chunks of at most ``max_tokens``.

        Returns ``(start, end, tokens)`` per chunk, in characters of ``text``: chunks begin and
        end at character boundaries, cover the text, and each recounts to at most ``max_tokens``.
        """
        ...


class KindRegistry(Protocol):
    """The installed job kinds."""

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        ...

    def get(self, name: str) -> Kind:
        """The kind of that name.

        Raises:
            batcher.core.errors.UsageError: there is none; the message lists those there are.
        """
        ...


# --- files ------------------------------------------------------------------------------------


class InputSource(Protocol):
    """An input file (or spooled standard input): checked once, streamed any number of times.

    A context manager that closes at its end. Rows with a structural fault come from :meth:`rows`
    as :class:`BadRow` in their place, duplicate ids among them; a row that is bad for another
    reason does not make its id taken.
    """

    @property
    def name(self) -> str:
        """The input as the user named it, for messages."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        ...

    def close(self) -> None:
        """Let go of what was spooled; safe to call twice."""
        ...

    def check(self, *, id_column: str | None, columns: Sequence[str], skip_bad: bool) -> InputFacts:
        """One pass over everything: content hash, row count, columns, structural faults.

        ``columns`` must all exist (for JSONL: in every row). With ``skip_bad`` row-level faults
        are left for :meth:`rows` to deliver as :class:`BadRow`.

        Raises:
            batcher.core.errors.InputError: with file and line, what was expected, what to do.
        """
        ...

    def rows(self, start: int = 0) -> Iterator[list[InputRow | BadRow]]:
        """Batches of rows from number ``start`` on, in order; call :meth:`check` before."""
        ...

    def sha256(self) -> str:
        """The hash of the raw bytes as read by the last exhausted :meth:`rows`, in hex."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSchema:
    """What an output's records look like, known before the first is written.

    ``columns`` are the input's (CSV and Parquet write them), ``fields`` the kind's, ``chunked``
    whether records carry ``chunk, start, end``; ``dimension`` is the length of a vector (None
    where there is none yet).
    """

    columns: tuple[str, ...]
    fields: tuple[Field, ...]
    chunked: bool
    dimension: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputBatch:
    """Some consecutive output records, column-wise; all sequences have the same length.

    ``results`` hold what the kind made: for vectors one float32 array of shape (records,
    dimension) is in ``vectors`` and ``results`` is empty; otherwise one JSON object each.
    ``records`` are the input's columns (empty where the job did not keep them); ``chunks`` are
    ``(chunk, start, end)`` where the schema is chunked.
    """

    ids: Sequence[RowId]
    rows: Sequence[int]
    results: Sequence[Mapping[str, Any]]
    vectors: Any
    records: Sequence[Mapping[str, Any]]
    chunks: Sequence[tuple[int, int, int]]


class OutputSink(Protocol):
    """One output file being written beside its target; complete or absent."""

    def write(self, batch: OutputBatch) -> None:
        """Append records."""
        ...

    def commit(self) -> None:
        """Flush, sync and rename into place."""
        ...

    def abort(self) -> None:
        """Remove what was written; safe to call after commit."""
        ...


# --- store ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShard:
    """A planned shard, as it is written once.

    ``payload`` and ``columns`` are opaque to the store (:mod:`batcher.engine.payload`).
    """

    ordinal: int
    first_row: int
    rows: int
    pieces: int
    requests: int
    payload: bytes
    columns: bytes | None
    dead: Sequence[DeadLetter] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A claimed shard with everything its new owner needs.

    ``events`` are all events of its checkpoints in order. ``sent_fence`` and ``sent_through`` say
    what the last lease was allowed to send; ``sent_through`` is 0 where that lease ended cleanly.
    """

    shard_id: int
    ordinal: int
    fence: int
    expires_at: float
    payload: bytes
    events: Sequence[ShardEvent]
    sent_fence: int
    sent_through: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What one shard gained since its last checkpoint, committed whole or not at all.

    ``results`` is the blob of the event's ``done`` pieces (opaque to the store). ``sent_through``
    replaces the lease's allowance; ``reserved_picousd`` is the worst case of what is allowed and
    unanswered. ``finished`` closes the shard; ``released`` gives the lease back. Both end the
    lease cleanly: its allowance becomes 0.

    ``seq`` ascends within a lease, from any number not below 0. ``dead`` is parallel to the
    event's ``dead``.
    """

    shard_id: int
    fence: int
    seq: int
    event: ShardEvent
    results: bytes
    dead: Sequence[DeadLetter]
    usage: Usage
    doubt: Doubt
    rows_done: int
    sent_through: int
    reserved_picousd: int = 0
    finished: bool = False
    released: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShard:
    """A shard as the export reads it: the plan, and every result blob with the pieces in it."""

    ordinal: int
    first_row: int
    rows: int
    payload: bytes
    columns: bytes | None
    results: Sequence[tuple[tuple[int, ...], bytes]]
    dead_rows: frozenset[int]


class JobStore(Protocol):
    """Jobs: found, made, moved from state to state. One transaction a verb.

    All verbs but :meth:`purge` raise :class:`batcher.core.errors.UsageError` for an unknown job.
    """

    async def open_job(self, job: Job, *, fresh: bool) -> tuple[Job, bool]:
        """The newest uncancelled job of this fingerprint, or ``job`` inserted as a new generation.

        ``fresh`` always inserts. Returns the job and whether it was made. Two callers at once get
        the same job. The ``generation`` of ``job`` is replaced by the next free one, from 1.
        """
        ...

    async def job(self, job_id: str) -> Job:
        """The job of that id, or of a unique prefix of it.

        Raises:
            batcher.core.errors.UsageError: none, or several.
        """
        ...

    async def jobs(self, *, limit: int = 100) -> list[Job]:
        """Jobs, newest first."""
        ...

    async def move(
        self,
        job_id: str,
        event: JobEvent,
        *,
        reason: str | None = None,
        resume_at: datetime | None = None,
    ) -> Job:
        """Apply an event of the transition table; ``reason`` and ``resume_at`` are replaced.

        ``finished_at`` is set when the job is completed or cancelled, and unset when it is open
        again.

        Raises:
            batcher.core.errors.IllegalTransition: the state does not allow it.
        """
        ...

    async def complete(self, job_id: str) -> bool:
        """COMPLETE the job if it is planned and no shard is open, in one transaction.

        Returns whether the job is complete now. False, too, where its state does not allow it.
        """
        ...

    async def learn(self, job_id: str, learned: Learned) -> None:
        """Keep what the provider taught."""
        ...

    async def set_budget(self, job_id: str, budget_picousd: int | None) -> None:
        """Replace the job's budget."""
        ...

    async def tally(self, job_id: str) -> Tally:
        """Sums over the job's shards, and its dead letters."""
        ...

    async def purge(self, job_id: str) -> None:
        """Delete the job and everything of it; idempotent.

        A job whose deletion was cut short is cancelled: it is never resumed, and may be purged
        again.
        """
        ...


class ShardStore(Protocol):
    """Shards: planned, leased, checkpointed, read. The fence alone decides who may write."""

    async def lease_plan(self, job_id: str, owner: str, ttl_seconds: float) -> int | None:
        """The right to plan, as a fence; None while another owner's right has not expired.

        A right may be claimed when the database's clock is at or past its expiry; to its own
        owner it is extended, under the same fence. Writing ``planned`` gives it back.
        """
        ...

    async def add_shard(
        self, job_id: str, fence: int, shard: NewShard | None, *, next_row: int, planned: bool
    ) -> bool:
        """Write a shard (None: only the cursor) and the plan's cursor in one transaction.

        Dead letters found in planning come with their shard. False where the fence is stale, the
        job is planned already, the ordinal is not the cursor's or ``next_row`` lies before it:
        nothing was written.
        """
        ...

    async def claim(
        self, job_id: str, owner: str, *, limit: int, ttl_seconds: float
    ) -> list[Lease]:
        """Lease up to ``limit`` claimable open shards, lowest ordinal first.

        Claimable: never leased, given back, or at or past its expiry. Fence + 1 at every grant.
        None where the job is not open. The first lease of a job sets its ``started_at``.
        """
        ...

    async def renew(self, owner: str, shard_ids: Sequence[int], ttl_seconds: float) -> set[int]:
        """Extend the leases that ``owner`` still holds; returns those shard ids."""
        ...

    async def reclaim(self, job_id: str, *, but_owner: str) -> int:
        """Expire the leases (and the plan's) of every other owner: they are known to be dead.

        Returns how many shards were leased. Their fences and allowances stay as they are.
        """
        ...

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

    async def reopen_dead(self, job_id: str) -> int:
        """Delete dead letters that are not final and reopen their shards, in one transaction.

        Each shard gets an event naming the reopened pieces under a new fence, which ends a lease
        of it. Returns the number of dead letters deleted. The job's state stays: move it first.
        """
        ...

    def shards(self, job_id: str) -> AsyncIterator[StoredShard]:
        """All shards by ordinal, each read in a short transaction of its own."""
        ...

    def dead_letters(self, job_id: str) -> AsyncIterator[DeadLetter]:
        """Dead letters by (row, chunk)."""
        ...


class BudgetShort(Exception):
    """The budget does not cover what was asked for; ``available_picousd`` is what is left of it."""

    def __init__(self, available_picousd: int) -> None:
        """``available_picousd`` may be negative after a doubt that exceeded its reservation."""
        super().__init__(available_picousd)
        self.available_picousd = available_picousd


class Store(JobStore, ShardStore, Protocol):
    """The whole database."""

    async def close(self) -> None:
        """Release connections; idempotent."""
        ...
