"""The results of a leased shard as what keeps them for later jobs needs them: by content hash.

Gathered where a strategy of reuse keeps answers, and nowhere else. A vector of an unproven length
is told once its length is proven, and never if it is taken back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from batcher.engine.shards.payload import ShardPlan
from batcher.ports import AnsweredPiece


class AnsweredPieces:
    """What one shard's requests brought and no checkpoint has told yet."""

    __slots__ = ("_chunks", "_gathered", "_plan")

    def __init__(self, plan: ShardPlan) -> None:
        """``plan`` has the rows' contents."""
        self._plan = plan
        self._chunks = None if plan.chunks is None else Counter(plan.piece_rows)
        self._gathered: dict[int, AnsweredPiece] = {}

    def __repr__(self) -> str:
        """How many there are."""
        return f"<AnsweredPieces {len(self._gathered)}>"

    def add(self, piece: int, result: bytes, *, is_whole: bool) -> None:
        """The piece has its result; ``is_whole``: the answer that it is of was not cut off."""
        plan = self._plan
        row = plan.piece_rows[piece]
        content = plan.content_of(row)
        if content is None:
            return
        chunk, span = 0, None
        if plan.chunks is not None:
            chunk, *span_of = plan.chunks[piece]
            span = (span_of[0], span_of[1])
        self._gathered[piece] = AnsweredPiece(
            content=content,
            chunk=chunk,
            chunks=1 if self._chunks is None else self._chunks[row],
            span=span,
            tokens=plan.tokens[piece],
            result=result,
            is_whole=is_whole,
        )

    def drop(self, pieces: Iterable[int]) -> None:
        """The pieces' results are none after all."""
        for piece in pieces:
            self._gathered.pop(piece, None)

    def take(self, unproven: Container[int]) -> tuple[AnsweredPiece, ...]:
        """What the next checkpoint tells: all but the pieces that are unproven, which stay."""
        told = {piece: one for piece, one in self._gathered.items() if piece not in unproven}
        self.drop(told)
        return tuple(told.values())
