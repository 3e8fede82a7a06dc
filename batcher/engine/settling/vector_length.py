"""Vectors of one length: what the answers say of it, until two of them agree.

Before that, vectors are kept like any other result, so that nothing that is paid for is lost in a
crash, but marked as unproven, and their shard stays open. Once two different requests agree on a
length, what has another one is taken back and asked for again. The length is written down before
anything is committed that relies on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from batcher.core.failures.vector_lengths import Agreement
from batcher.core.kind import Broken, Shape
from batcher.core.model import Learned
from batcher.engine.requests.builder import Learning
from batcher.engine.settling.reading import KeptOutcome
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.shards.results import vector_length

Request = tuple[int, int]
"""A shard's id and a piece: the first that a request asked for."""


class VectorLength:
    """The length of one job's vectors."""

    def __init__(
        self,
        *,
        shape: Shape,
        learning: Learning,
        checkpoint_writer: CheckpointWriter,
        learn: Callable[[Learned], Awaitable[None]],
        ask_again: Callable[[Call], None],
    ) -> None:
        """``learn`` writes down what was learned; ``ask_again`` is for what is taken back."""
        self._shape = shape
        self._learning = learning
        self._checkpoint_writer = checkpoint_writer
        self._learn = learn
        self._ask_again = ask_again
        self._agreement: Agreement[Request] = Agreement()
        self._asked: dict[Request, Call] = {}
        self._lock = asyncio.Lock()

    @property
    def is_needed(self) -> bool:
        """Whether results hold vectors at all."""
        return self._shape is not Shape.JSON

    def take(self, shard: LeasedShard) -> None:
        """A shard was claimed: it may hold vectors that nobody has confirmed."""
        if not self.is_needed:
            return
        dimension = self._learning.learned.dimension
        if dimension is not None:
            self._sort_out(shard, dimension)
            return
        for length in set(shard.unproven.values()):
            first = min(piece for piece, other in shard.unproven.items() if other == length)
            self._agreement.vote((shard.id, first), length)

    async def check(self, call: Call, outcomes: list[KeptOutcome]) -> list[KeptOutcome]:
        """The outcomes of an answer, those with a vector of a wrong length as broken."""
        lengths = self._lengths(outcomes)
        known = [length for length in lengths if length is not None]
        if not known:
            return outcomes
        length = self._learning.learned.dimension
        if length is None:
            length = max(dict.fromkeys(known), key=known.count)
            async with self._lock:
                await self._consider(call, length)
            length = self._learning.learned.dimension or length
        checked = _of_length(outcomes, lengths, length)
        if self._learning.learned.dimension is None:
            done = [
                piece
                for piece, outcome in zip(call.pieces, checked, strict=True)
                if isinstance(outcome, bytes)
            ]
            call.shard.leave_unproven(done, length)
            self._checkpoint_writer.request()  # where nothing is left to ask, that shows
        return checked

    def _lengths(self, outcomes: Sequence[KeptOutcome]) -> list[int | None]:
        """How long each outcome's vector is; None where it has none."""
        return [
            vector_length(self._shape, one) if isinstance(one, bytes) else None for one in outcomes
        ]

    async def conclude(self) -> bool:
        """Nothing else is left to be asked: decide; returns whether there was anything to decide.

        What all agree on is believed, be it one request. Where they differ the oldest is asked
        again, until two agree or its attempts are used up.
        """
        async with self._lock:
            lengths = self._agreement.lengths
            if self._learning.learned.dimension is not None or not lengths:
                return False
            if len(lengths) == 1 or self._agreement.agreed is not None:
                await self._agree(self._agreement.agreed or lengths[0])
            else:
                self._take_back_oldest()
        return True

    async def hear(self, dimension: int | None) -> None:
        """Another worker of the job may know the length."""
        if dimension is not None and self._learning.learned.dimension is None:
            async with self._lock:
                self._adopt(dimension)

    async def _consider(self, call: Call, length: int) -> None:
        """Count an answer's vote; while nobody agrees, see that its vectors can be kept apart."""
        if self._learning.learned.dimension is not None:
            return
        request = (call.shard.id, call.pieces[0])
        self._agreement.vote(request, length)
        self._asked[request] = call
        if (agreed := self._agreement.agreed) is not None:
            await self._agree(agreed)
        else:
            while call.shard.pending_length not in (None, length):
                await self._checkpoint_writer.flush()

    async def _agree(self, length: int) -> None:
        await self._learn(replace(self._learning.learned, dimension=length))
        self._adopt(length)

    def _adopt(self, length: int) -> None:
        self._learning.set_dimension(length)
        for shard in list(self._checkpoint_writer.shards):
            self._sort_out(shard, length)
        self._asked.clear()

    def _sort_out(self, shard: LeasedShard, length: int) -> None:
        """Believe what has the length, and ask again for what has not."""
        wrong = shard.prove(length)
        if wrong:
            self._take_back(shard, wrong)
        if shard.finished:
            self._checkpoint_writer.request()

    def _take_back_oldest(self) -> None:
        shard_id, first = self._agreement.withdraw_oldest()
        for shard in self._checkpoint_writer.shards:
            if shard.id == shard_id and first in shard.unproven:
                length = shard.unproven[first]
                alike = [piece for piece, other in shard.unproven.items() if other == length]
                self._take_back(shard, alike)
                return

    def _take_back(self, shard: LeasedShard, pieces: Sequence[int]) -> None:
        """The pieces are asked for again, each with the call that they were asked for in.

        What an earlier lease asked for has no place in this one's worklist.
        """
        shard.take_back(pieces)
        left = set(pieces)
        for call in list(self._asked.values()):
            mine = tuple(piece for piece in call.pieces if piece in left)
            if call.shard is shard and mine:
                left.difference_update(mine)
                self._ask_again(call.part(mine))
        if left:
            self._ask_again(Call(shard, tuple(sorted(left)), -1))


def _of_length(
    outcomes: list[KeptOutcome], lengths: Sequence[int | None], length: int
) -> list[KeptOutcome]:
    """The outcomes, those with a vector of another length as broken."""
    if lengths.count(length) == len(outcomes):
        return outcomes
    message = f"the vector does not have {length} dimensions, as the others do"
    wrong = Broken("wrong_dimension", message)
    return [
        outcome if own in (None, length) else wrong
        for outcome, own in zip(outcomes, lengths, strict=True)
    ]
