"""Rows that need no call: how strategies are asked, and what they are told of the calls there are.

A strategy answers before tokens are counted. Where it keeps results for later jobs, checkpoints
tell it what became of the pieces that were asked for, each with its row's content hash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, Protocol

from batcher.core.model import RowId


class AskedRow(NamedTuple):
    """A row that was rendered, and not counted yet.

    ``id`` is the row's number where no column holds ids, None where it could not be read;
    ``content`` its content hash (:func:`batcher.core.job.fingerprint.content`), None where it could
    not be rendered. ``sendable``: there is something to send.
    """

    id: RowId | None
    content: bytes | None
    sendable: bool


class CallNeeded(Enum):
    """There is no result for the row, and what it was to the strategy before."""

    NEW = auto()
    CHANGED = auto()
    FAILED_BEFORE = auto()


class Reused(NamedTuple):
    """The row needs no call: its result is at ``place``, which only the strategy understands.

    ``tokens`` and ``spans`` (start and end in characters) are of the pieces that the result is of;
    ``spans`` is None where the row was not cut.
    """

    place: Hashable
    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int], ...] | None = None


class ReuseLookup(Protocol):
    """What whoever plans asks."""

    def decide(self, rows: Sequence[AskedRow]) -> Sequence[Reused | CallNeeded]:
        """Say of each row whether it needs a call; in a thread, with the rows in input order."""
        ...


class PortableLookup(Protocol):
    """Plain values from which another process makes the same lookup. It can be pickled."""

    def opened(self) -> AbstractContextManager[ReuseLookup]:
        """The lookup, open in this process: its places are those of the strategy it came from."""
        ...


class Reuse(ReuseLookup, Protocol):
    """One strategy, open for one plan."""

    async def results(self, places: Sequence[Hashable]) -> Sequence[bytes]:
        """The results at these places, those of a row's pieces as one blob each.

        Raises:
            StoreError: they are gone since they were looked for.
        """
        ...

    def portable(self) -> PortableLookup | None:
        """What makes the lookup anew in another process; None where only this one can look up."""
        ...


class ReuseStrategy(Protocol):
    """How a strategy is opened where a plan is made.

    ``keeps_answers``: it keeps results for later jobs, so that checkpoints must say them by content
    (:class:`AnsweredPiece`).
    """

    @property
    def keeps_answers(self) -> bool:
        """See the class."""
        ...

    def opened(
        self, tick: Callable[[], Awaitable[None]] | None = None
    ) -> AbstractAsyncContextManager[Reuse | None]:
        """It, or None where it has nothing to give; ``tick`` is awaited now and then meanwhile."""
        ...


class AnsweredPiece(NamedTuple):
    """A piece that was asked for and has its result, as what keeps results needs it.

    ``content`` is its row's content hash; the piece is ``chunk`` of ``chunks`` of that row, from
    ``start`` to ``end`` in characters (None where texts of the job are never cut). ``result`` is as
    it is kept. ``is_whole`` is False where the answer was cut off: a result of its row all the
    same, and of no other. Pieces that failed are not told.
    """

    content: bytes
    chunk: int
    chunks: int
    span: tuple[int, int] | None
    tokens: int
    result: bytes
    is_whole: bool


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
