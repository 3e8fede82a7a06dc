"""The nouns that everything else speaks of: jobs and their states, rows, pieces, what was spent.

Frozen values only. This module knows no clock, no database and no file format; it decides which
moves a job may make and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from batcher.core.errors import IllegalTransition

if TYPE_CHECKING:
    from batcher.core.job.description import Description

RowId: TypeAlias = str | int | float | bool | Decimal
"""A row's id as the input spells it; ids are compared as text. A Decimal is a number that neither
``int`` nor ``float`` can hold."""

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
    PLAN = "plan"
    RUN = "run"


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
    """One input record: its number from 0, its id, and its columns as plain values.

    ``arrow`` is the same record as it stands in an Arrow input: a record batch and the row's index
    in it. None where the input knows no Arrow types.
    """

    number: int
    id: RowId
    record: Mapping[str, Any] = field(repr=False)
    arrow: tuple[Any, int] | None = field(default=None, repr=False, compare=False)


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
    ``arrow_schema`` is a Parquet input's in Arrow's IPC format, as base64; None for other inputs,
    and in jobs of versions that did not keep it.
    """

    rows: int
    sha256: str
    size_bytes: int
    columns: tuple[str, ...]
    arrow_schema: str | None = None


class Usage(NamedTuple):
    """What requests cost: answered requests, tokens, and money in picodollars (1e-12 USD).

    Integers add without error; a price of $0.02 per million tokens is 20,000 picodollars a token.
    ``cached_tokens`` and ``written_tokens`` are those of the prompts that were read from the
    provider's cache or written to it, ``reasoning_tokens`` are part of the output. ``unstated``
    counts answers that do not say what they took, so that we counted; ``stated_picousd`` is what
    those answers that name a cost of their own say together.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_picousd: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    reasoning_tokens: int = 0
    unstated: int = 0
    stated_picousd: int = 0

    def __add__(self, other: object) -> Usage:
        """The sum, field by field."""
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage._make(map(add, self, other))

    @classmethod
    def total(cls, usages: Collection[Usage]) -> Usage:
        """The sum of many, in one go."""
        return cls._make(map(sum, zip(*usages, strict=True))) if usages else cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One request's cost, shared out to the pieces that it asked for: parallel lists.

    ``costs`` are picodollars, None where no price is known; ``model`` is what the provider called
    itself in the answer.
    """

    pieces: tuple[int, ...]
    prompt_tokens: Sequence[int]
    completion_tokens: Sequence[int]
    costs: Sequence[int] | None
    model: str | None


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
class FailureCount:
    """How many dead letters of a job have one code; ``final`` ones stay through a retry."""

    code: str
    final: bool
    dead_letters: int


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
    usage: Usage = field(default_factory=Usage)
    doubt: Doubt = Doubt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as the store keeps it: identity, description and state, not its work.

    ``name`` is what the user calls it and its like, night after night. ``description`` is what it
    means: work, input, provider and delivery. ``cause`` says what has stopped a job, ``reason`` the
    same in words; ``resume_at`` when a provider said that it may go on.
    ``plan_row`` and ``plan_shard`` are the plan's cursor: the next row to plan and the next shard's
    ordinal; ``plan_tries`` is how often somebody took it up without getting any further.
    ``schedule`` is the name of the schedule that opened it, if one did; ``output`` the absolute
    path of the file that its records were last asked for in.
    """

    id: str
    fingerprint: str
    generation: int
    description: Description
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
    plan_tries: int = 0
    output: str | None = None


def id_texts(ids: Sequence[RowId]) -> Sequence[str]:
    """Ids as they are compared: as text. ``"1"`` and ``1`` are the same, ``"true"`` and true."""
    kinds = set(map(type, ids))
    if bool in kinds:
        return [str(i).lower() if isinstance(i, bool) else str(i) for i in ids]
    return list(map(str, ids))
