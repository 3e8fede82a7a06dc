"""Rows while a plan is made: the limit of a row's time, and the rows of a former job.

What is done for a row is code that may be anybody's. A former job's rows are looked up on disk, for
there may be millions of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerRow:
    """A row of a former job.

    ``content`` is its content hash, None where it had none. ``place`` is the ordinal of its shard
    and its number in that, None where it has no whole result. ``tokens`` and ``spans`` (start and
    end in characters) are of its pieces; ``spans`` is None where it was not cut.
    """

    content: bytes | None = field(repr=False)
    place: tuple[int, int] | None
    tokens: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] | None = None


class RowIndex(Protocol):
    """Rows by their id, and results by their place. For threads, one call at a time.

    Memory does not grow with what is put into it. Errors are
    :class:`batcher.core.errors.BatcherError`.
    """

    def add(self, rows: Iterable[tuple[str, FormerRow]]) -> None:
        """Put rows in, by their ids as text; of two of one id the later one stays."""
        ...

    def find(self, ids: Sequence[str]) -> list[FormerRow | None]:
        """The rows of these ids, None where there is none."""
        ...

    def keep(self, shard: int, results: Mapping[int, bytes]) -> None:
        """Put the results of a shard's rows in, by the rows' numbers in it."""
        ...

    def kept(self, shard: int, rows: Sequence[int]) -> list[bytes]:
        """The results of these rows of a shard that was given to :meth:`keep`, which has them."""
        ...

    def close(self) -> None:
        """Give the disk space back; idempotent."""
        ...
