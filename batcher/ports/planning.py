"""What a plan is made with: a limit of time for each row, and a process for a long one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from batcher.core.job.spec import JobSpec
    from batcher.core.kind import TextFile
    from batcher.core.limits import RequestLimits
    from batcher.core.model import DeadLetter
    from batcher.ports.reuse import PortableLookup

T = TypeVar("T")
R = TypeVar("R")


class RowOverran(Exception):
    """The row took too long; what was done for it is undone. ``seconds`` is how long was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class GuardStopped(Exception):
    """The guard was stopped: nothing more is wanted."""


class RowGuard(Protocol):
    """Calls a function for each row, in one thread at a time, and ends a call that overruns.

    A call is ended between two steps of the interpreter: an operation of C is not torn.
    """

    def call(self, work: Callable[[T], R], row: T) -> R:
        """What ``work`` returns or raises for the row.

        Raises:
            RowOverran: it took too long.
            GuardStopped: :meth:`stop` was called, before or meanwhile.
        """
        ...

    def stop(self) -> None:
        """End what is going on, from any thread, and let nothing more begin; idempotent."""
        ...


class NoGuard:
    """Calls, and never ends a call."""

    def __init__(self) -> None:
        self._stopped = False

    def call(self, work: Callable[[T], R], row: T) -> R:
        """See :class:`RowGuard`."""
        if self._stopped:
            raise GuardStopped
        return work(row)

    def stop(self) -> None:
        """See :class:`RowGuard`; a call that is going on is not ended."""
        self._stopped = True


@runtime_checkable
class SharesCheck(Protocol):
    """An input that another process can read as well, without checking it once more."""

    def checked(self) -> bytes | None:
        """What the last check found that reading needs; None where no other process can read it."""
        ...

    def take_checked(self, checked: bytes) -> None:
        """Be as the input was that :meth:`checked` was asked of."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTask:
    """All that another process needs to plan a job.

    ``rows`` is where the plan ends; ``checked`` is what :class:`SharesCheck` says of the input;
    ``lookup`` says which rows need no call.
    """

    spec: JobSpec
    kind_version: int
    files: Mapping[str, TextFile] = field(repr=False)
    limits: RequestLimits
    rows: int
    recipe: str
    keep_arrow: bool
    checked: bytes = field(repr=False)
    lookup: PortableLookup | None = None


class PlannerProcess(Protocol):
    """Another process that plans one job. All but :meth:`stop` may block."""

    def is_ready(self) -> bool:
        """Whether it has everything that it needs; does not wait."""
        ...

    def begin(self, next_row: int, next_shard: int) -> None:
        """Plan from this row on, ahead of what is taken."""
        ...

    def take(self) -> Sequence[NewShard] | None:
        """The next shards, in order; empty at the end of the plan, None where the process failed.

        Raises:
            GuardStopped: :meth:`stop` was called.
        """
        ...

    @property
    def input_sha256(self) -> str | None:
        """The hash of the input as it was read; None where its end was not reached."""
        ...

    def stop(self) -> None:
        """End the process; safe to call twice, and from any thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPlan:
    """A shard's plan as it is kept, in parts that are read apart.

    ``outline`` and ``prompts`` are opaque to the store (:mod:`batcher.engine.shards.payload`): only
    who sends reads the prompts. ``contents`` and ``ids`` are for the store to search: the rows'
    content hashes (:data:`batcher.core.job.fingerprint.CONTENT_BYTES` each, zeros for a row without
    one) and the hashes of their ids (:data:`batcher.core.job.fingerprint.ID_BYTES` each), one after
    the other; None where there are none, and ``ids`` where the rows' numbers are their ids.
    """

    outline: bytes = field(repr=False)
    prompts: bytes = field(repr=False)
    contents: bytes | None = field(default=None, repr=False)
    ids: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Results that a shard begins with, brought over from elsewhere: nothing was sent for them.

    ``pieces`` have one each, in the order of the blob ``results`` (opaque to the store); ``rows``
    is how many rows they make whole. Whoever plans leaves ``results`` empty and says in ``places``
    where they are, one a row (:class:`batcher.ports.Reused`): they are fetched when it is written.
    """

    pieces: tuple[int, ...]
    rows: int
    results: bytes = field(default=b"", repr=False)
    places: Sequence[Hashable] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShard:
    """A planned shard, as it is written once.

    ``columns`` are opaque to the store (:mod:`batcher.engine.shards.payload`). ``rows_changed`` and
    ``rows_failed_before`` are counted as :class:`batcher.core.model.Tally` says.
    """

    ordinal: int
    first_row: int
    rows: int
    pieces: int
    requests: int
    plan: EncodedPlan
    columns: bytes | None = field(repr=False)
    dead: Sequence[DeadLetter] = ()
    carried: Carried | None = None
    rows_changed: int = 0
    rows_failed_before: int = 0

    @property
    def size_bytes(self) -> int:
        """What its requests and its columns take, as they are kept."""
        return len(self.plan.outline) + len(self.plan.prompts) + len(self.columns or b"")
