"""Where the rows of a former job are looked up: on disk, for there may be millions of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


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
