"""The nouns that everything else speaks of: jobs and their states, rows, pieces, what was spent.

Frozen values only. This module knows no clock, no database and no file format; it decides which
moves a job may make and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from batcher.core.errors import IllegalTransition

RowId: TypeAlias = str | int | float | bool
"""A row's id as the input spells it; ids are compared as text."""

Prompt: TypeAlias = tuple[str, ...]
"""What a kind rendered from one row: the varying texts of its request, in the kind's own order."""


class JobState(StrEnum):
    """Where a job stands. Whether anybody is working on it is the leases' business."""

    OPEN = "open"
    PAUSED = "paused"
    COMPLETE = "complete"
    CANCELLED = "cancelled"


class StopCause(StrEnum):
    """What keeps a job from going on: the kinds of reasons there are."""

    BY_HAND = "by hand"
    PROVIDER = "provider"
    REFUSED = "refused"
    BUDGET = "budget"
    DEAD_LETTER = "dead letter"
    INPUT = "input"
    KIND = "kind"


class JobEvent(StrEnum):
    """What can happen to a job."""

    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    RETRY = "retry"
    CANCEL = "cancel"


TRANSITIONS: Mapping[tuple[JobState, JobEvent], JobState] = {
    (JobState.OPEN, JobEvent.PAUSE): JobState.PAUSED,
    (JobState.OPEN, JobEvent.RESUME): JobState.OPEN,
    (JobState.OPEN, JobEvent.COMPLETE): JobState.COMPLETE,
    (JobState.OPEN, JobEvent.RETRY): JobState.OPEN,
    (JobState.OPEN, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.PAUSED, JobEvent.PAUSE): JobState.PAUSED,
    (JobState.PAUSED, JobEvent.RESUME): JobState.OPEN,
    (JobState.PAUSED, JobEvent.RETRY): JobState.OPEN,
    (JobState.PAUSED, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.COMPLETE, JobEvent.COMPLETE): JobState.COMPLETE,
    (JobState.COMPLETE, JobEvent.RETRY): JobState.OPEN,
}


def advance(state: JobState, event: JobEvent) -> JobState:
    """The state after ``event``.

    Raises:
        IllegalTransition: the state does not allow it.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"the job is {state}: there is nothing to {event}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRow:
    """One input record: its number from 0, its id, and its columns."""

    number: int
    id: RowId
    record: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """An input record that cannot be read as a row (with ``--on-bad-row skip``: a dead letter)."""

    number: int
    id: RowId | None
    line: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """What the check found: enough for the fingerprint, the output's columns and the plan.

    ``sha256`` is the hex digest of the raw bytes (before decompression). ``columns`` are the CSV
    header, the Parquet schema or the union of the JSONL keys, in order of first appearance.
    """

    rows: int
    sha256: str
    size_bytes: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What requests cost: answered requests, tokens, and money in picodollars (1e-12 USD).

    Integers add without error; a price of $0.02 per million tokens is 20,000 picodollars a token.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_picousd: int = 0

    def __add__(self, other: Usage) -> Usage:
        """The sum, field by field."""
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_picousd=self.cost_picousd + other.cost_picousd,
        )

    @classmethod
    def total(cls, usages: Collection[Usage]) -> Usage:
        """The sum of many, in one go."""
        return cls(
            requests=sum([usage.requests for usage in usages]),
            prompt_tokens=sum([usage.prompt_tokens for usage in usages]),
            completion_tokens=sum([usage.completion_tokens for usage in usages]),
            cost_picousd=sum([usage.cost_picousd for usage in usages]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What may have been billed without giving a result: an upper bound.

    ``pieces`` are inputs, ``tokens`` the prompt and the worst case of the output, ``cost_picousd``
    the worst case in picodollars.

    ``kept_requests``, ``kept_pieces`` and ``kept_tokens`` are not in doubt any more: their answers
    were kept for their idempotency keys, and given again without being billed again. A sum may hold
    less than a part of it: what is proven is taken off.
    """

    requests: int = 0
    pieces: int = 0
    tokens: int = 0
    cost_picousd: int = 0
    kept_requests: int = 0
    kept_pieces: int = 0
    kept_tokens: int = 0

    def __add__(self, other: Doubt) -> Doubt:
        """The sum, field by field."""
        return Doubt(
            requests=self.requests + other.requests,
            pieces=self.pieces + other.pieces,
            tokens=self.tokens + other.tokens,
            cost_picousd=self.cost_picousd + other.cost_picousd,
            kept_requests=self.kept_requests + other.kept_requests,
            kept_pieces=self.kept_pieces + other.kept_pieces,
            kept_tokens=self.kept_tokens + other.kept_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A row (or one chunk of it) that failed for good.

    ``final`` ones are the input's own fault (empty, malformed) and stay through a retry.
    ``message`` is key-redacted and at most 500 characters.
    """

    row: int
    chunk: int
    id: RowId | None
    code: str
    message: str = field(repr=False)
    attempts: int
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a provider taught about a job's requests, kept so that a resumed run need not relearn.

    ``renamed`` maps a body parameter to the name that the model wants instead (``max_tokens`` to
    ``max_completion_tokens``); ``dropped`` are optional parameters that the server refuses;
    ``dimension`` is the length of a vector, once two answers have agreed on it.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    dimension: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How far a job is, summed over its shards.

    ``rows_failed`` counts rows with at least one dead letter; ``rows_done`` the rows that have
    their one result. Pieces count chunks. ``rows_carried`` are those of ``rows_done`` whose result
    is another job's; ``rows_changed`` and ``rows_failed_before`` were in that job, too, with other
    contents or with the same and no result.
    """

    rows_planned: int = 0
    rows_done: int = 0
    rows_failed: int = 0
    rows_carried: int = 0
    rows_changed: int = 0
    rows_failed_before: int = 0
    pieces: int = 0
    pieces_done: int = 0
    usage: Usage = Usage()
    doubt: Doubt = Doubt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as the store keeps it: identity, description and state, not its work.

    ``name`` is what the user calls it and its like, night after night. ``spec`` is the JSON form of
    :class:`batcher.core.spec.JobSpec`. ``cause`` says what has stopped a job, ``reason`` the same
    in words; ``resume_at`` when a provider said that it may go on. ``plan_row`` and ``plan_shard``
    are the plan's cursor: the next row to plan and the next shard's ordinal. ``schedule`` is the
    name of the schedule that opened it, if one did.
    """

    id: str
    fingerprint: str
    generation: int
    spec: Mapping[str, Any]
    facts: InputFacts
    state: JobState
    name: str | None = None
    cause: StopCause | None = None
    reason: str | None = None
    resume_at: datetime | None = None
    planned: bool = False
    plan_row: int = 0
    plan_shard: int = 0
    budget_picousd: int | None = None
    learned: Learned = Learned()
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    version: str
    schedule: str | None = None
