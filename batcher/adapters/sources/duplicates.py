"""Duplicate ids in eight bytes a row: hashes first, then the ids themselves where hashes meet.

The first pass keeps one 64-bit hash a row. Sorted in place, equal neighbours are the candidates.
Further passes compare the candidates' ids as text, a bounded number of candidates at a time (one
pass unless hundreds of thousands of ids are not unique), so that a collision is never an error.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Hashes: TypeAlias = npt.NDArray[np.int64]

CANDIDATES_A_PASS: Final = 250_000
_BLOCK: Final = 1 << 20


class IdHashes:
    """The hashes of all ids, gathered in the first pass."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, texts: Iterable[str]) -> None:
        """The ids of some more rows, as text."""
        self._hashes.extend(map(hash, texts))

    def take_repeated(self) -> Hashes:
        """The hashes that came more than once, sorted; the rest is let go."""
        hashes: Hashes = np.frombuffer(self._hashes, dtype=np.int64)
        hashes.sort()
        found = 0
        for start in range(0, len(hashes) - 1, _BLOCK):
            after = hashes[start + 1 : start + 1 + _BLOCK]
            here = hashes[start : start + len(after)]
            again = np.unique(here[here == after])
            if found and len(again) and again[0] == hashes[found - 1]:
                again = again[1:]
            # What is found is never ahead of what is read: it goes where it was read.
            hashes[found : found + len(again)] = again
            found += len(again)
        self._hashes = array("q")
        return hashes[:found].copy()


@dataclass(frozen=True, slots=True)
class IdRows:
    """The ids of some rows, as text, with each row's number; ``lines`` works their lines out."""

    texts: Sequence[str]
    numbers: Sequence[int]
    lines: Callable[[], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row whose id stood before, on the line ``first_line``."""

    row: int
    line: int
    first_line: int


class Duplicates:
    """Rows whose id stood before, by number: sixteen bytes each."""

    def __init__(self) -> None:
        self._rows = array("q")
        self._first_lines = array("q")

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, duplicate: Duplicate) -> None:
        """In any order; :meth:`sort` when all are there."""
        self._rows.append(duplicate.row)
        self._first_lines.append(duplicate.first_line)

    def sort(self) -> None:
        """Put them in the order of rows."""
        order = np.argsort(np.frombuffer(self._rows, dtype=np.int64))
        for values in (self._rows, self._first_lines):
            view = np.frombuffer(values, dtype=np.int64)
            view[:] = view[order]

    def between(self, start: int, stop: int) -> list[tuple[int, int]]:
        """``(row, first line)`` of those from ``start`` up to but without ``stop``."""
        low, high = np.searchsorted(np.frombuffer(self._rows, dtype=np.int64), (start, stop))
        return list(zip(self._rows[low:high], self._first_lines[low:high], strict=True))


def find_duplicates(
    repeated: Hashes,
    passes: Callable[[], Iterable[IdRows]],
    report: Callable[[Duplicate], None],
) -> None:
    """Report every row whose id stood before; ``passes`` reads all ids anew at every call."""
    for start in range(0, len(repeated), CANDIDATES_A_PASS):
        candidates = repeated[start : start + CANDIDATES_A_PASS]
        seen: dict[str, int] = {}
        for ids in passes():
            _compare(candidates, ids, seen, report)


def _compare(
    candidates: Hashes, ids: IdRows, seen: dict[str, int], report: Callable[[Duplicate], None]
) -> None:
    hashes = np.fromiter(map(hash, ids.texts), dtype=np.int64, count=len(ids.texts))
    places = np.minimum(np.searchsorted(candidates, hashes), len(candidates) - 1)
    hits = np.flatnonzero(candidates[places] == hashes).tolist()
    if not hits:
        return
    lines = ids.lines()
    for hit in hits:
        first_line = seen.setdefault(ids.texts[hit], lines[hit])
        if first_line != lines[hit]:
            report(Duplicate(ids.numbers[hit], lines[hit], first_line))
