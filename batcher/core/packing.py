"""Which pieces go into which request, and which requests into which shard.

Next fit in input order: a request is closed when the next piece would break a limit, so order is
kept and a request is never over budget. A shard ends at the end of a request, between two rows, so
that a row's pieces never leave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batcher.core.limits import RequestLimits, ShardLimits


@dataclass(slots=True, kw_only=True)
class ShardPacker:
    """One shard being filled, row by row.

    ``starts`` holds the first piece of each request, ``tokens`` the tokens of each piece. Pieces
    that are not sent, for they have their result, lie among those of the requests, and count for
    none of them.
    """

    limits: RequestLimits
    shard: ShardLimits = field(default_factory=ShardLimits)
    starts: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    rows: int = 0
    characters: int = 0
    _open_inputs: int = 0
    _open_tokens: int = 0

    def takes(self, piece_tokens: Sequence[int], *, sent: bool = True, apart: bool = False) -> bool:
        """Whether a row of these pieces belongs into this shard; if not, begin another one.

        A full shard still takes rows that fit whole into its last request, or that send nothing.
        ``apart``: the row may not share a request with the one before it.
        """
        if not self._is_full():
            return True
        if self.rows >= 4 * self.shard.max_pieces:
            return False
        each = self.limits.output_tokens_per_piece
        return not piece_tokens or (
            sent
            and not apart
            and self._open_inputs > 0
            and self._open_inputs + len(piece_tokens) <= self.limits.max_inputs
            and self._open_tokens + sum(piece_tokens) + each * len(piece_tokens)
            <= self.limits.max_request_tokens
        )

    def add(
        self,
        piece_tokens: Sequence[int],
        characters: int = 0,
        *,
        sent: bool = True,
        apart: bool = False,
        more_tokens: int = 0,
    ) -> None:
        """Append a row's pieces (none for a row that is a dead letter already).

        ``apart``: the row may not share a request with the one before it. ``more_tokens`` is what
        its requests take besides what all of them do.
        """
        starts, tokens, limits = self.starts, self.tokens, self.limits
        each = limits.output_tokens_per_piece
        for count in piece_tokens:
            if not sent:
                tokens.append(count)
                continue
            if (
                not starts
                or apart
                or self._open_inputs >= limits.max_inputs
                or self._open_tokens + count + each > limits.max_request_tokens
            ):
                starts.append(len(tokens) if starts else 0)
                self._open_inputs, self._open_tokens = 0, limits.fixed_tokens + more_tokens
                apart = False
            tokens.append(count)
            self._open_inputs += 1
            self._open_tokens += count + each
        self.rows += 1
        self.characters += characters

    def _is_full(self) -> bool:
        return (
            len(self.starts) >= self.shard.max_requests
            or len(self.tokens) >= self.shard.max_pieces
            or self.characters >= self.shard.max_characters
            or self.rows >= 2 * self.shard.max_pieces
        )
