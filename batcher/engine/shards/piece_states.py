"""Which pieces of a leased shard are still to be asked for, and which rows are done with.

A byte a piece, and no count for rows of one piece: many pieces may be leased at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from batcher.engine.shards.answered import AnsweredPieces


class PieceStates:
    """The pieces of one shard: unsettled, or settled by a result or a dead letter.

    ``unproven`` are the pieces whose vectors have a length that nobody has confirmed, by that
    length: their results may be taken back. ``answers`` gathers results by content, where some
    strategy keeps them.
    """

    __slots__ = (
        "_dead_rows",
        "_left",
        "_piece_rows",
        "_row_left",
        "_unsettled",
        "answers",
        "unproven",
    )

    def __init__(
        self,
        piece_rows: Sequence[int],
        *,
        unsettled: Iterable[int],
        dead: Iterable[int],
        unproven: Mapping[int, int],
        chunked: bool,
        answers: AnsweredPieces | None = None,
    ) -> None:
        """``chunked``: a row may be several pieces."""
        self._piece_rows = piece_rows
        self._unsettled = bytearray(len(piece_rows))
        self._left = 0
        self._row_left: dict[int, int] | None = Counter() if chunked else None
        for piece in unsettled:
            self.reopen(piece)
        self._dead_rows = {piece_rows[piece] for piece in dead}
        self.unproven = dict(unproven)
        self.answers = answers

    def __repr__(self) -> str:
        """How many are left."""
        return f"<PieceStates {self._left} of {len(self._piece_rows)} left>"

    @property
    def all_settled(self) -> bool:
        """Whether every piece has its dead letter, or a result that nothing can take back."""
        return not self._left and not self.unproven

    def unsettled_with(self, pieces: Iterable[int]) -> bytearray:
        """A one for each piece that is unsettled, or among the given ones."""
        states = self._unsettled[:]
        for piece in pieces:
            states[piece] = True
        return states

    def settle(self, piece: int) -> bool:
        """The piece has its result or its dead letter; whether all of its row have results now."""
        row = self._piece_rows[piece]
        self._left -= self._unsettled[piece]
        self._unsettled[piece] = False
        if self._row_left is not None:
            self._row_left[row] -= 1
        return self._is_done(row)

    def bury(self, piece: int) -> bool:
        """The piece failed for good; whether it is the first of its row."""
        row = self._piece_rows[piece]
        first = row not in self._dead_rows
        self._dead_rows.add(row)
        self.settle(piece)
        return first

    def reopen(self, piece: int) -> None:
        """The piece is to be asked for."""
        self._left += not self._unsettled[piece]
        self._unsettled[piece] = True
        if self._row_left is not None:
            self._row_left[self._piece_rows[piece]] += 1

    def take_back(self, piece: int) -> bool:
        """The piece's result is none after all; whether its row was done by it."""
        was_done = self._is_done(self._piece_rows[piece])
        self.reopen(piece)
        self.unproven.pop(piece, None)
        return was_done

    def prove(self, length: int) -> list[int]:
        """That is the length of all vectors; returns the pieces that have one of another."""
        wrong = [piece for piece, other in self.unproven.items() if other != length]
        self.unproven = {}
        return wrong

    def _is_done(self, row: int) -> bool:
        """Whether all pieces of the row have results; asked where one of them is settled."""
        return row not in self._dead_rows and not (self._row_left and self._row_left[row])
