"""What a leased shard's next checkpoint will say, gathered since the last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from batcher.core.kind import Shape
from batcher.core.model import Bill, DeadLetter, Doubt, Usage
from batcher.core.progress import Amounts, ShardEvent
from batcher.engine.shards.payload import encode_bills
from batcher.engine.shards.results import encode_results, vector_length

_NO_DOUBT = Doubt()


class PendingOutcomes:
    """What became of pieces: results, dead letters, and what the next owner must know.

    ``seq`` numbers the lease's checkpoints; ``size_bytes`` is that of the results.
    """

    __slots__ = (
        "attempts",
        "cuts",
        "dead",
        "done",
        "in_doubt",
        "letters",
        "reopened",
        "results",
        "rows_done",
        "seq",
        "shape",
        "size_bytes",
    )

    def __init__(self, shape: Shape, seq: int = 0) -> None:
        """``shape`` is that of results."""
        self.shape = shape
        self.seq = seq
        self.done: list[int] = []
        self.results: list[bytes] = []
        self.reopened: list[int] = []
        self.dead: list[int] = []
        self.letters: list[DeadLetter] = []
        self.attempts: dict[int, int] = {}
        self.cuts: list[int] = []
        self.in_doubt: dict[int, Amounts] = {}
        self.rows_done = 0
        self.size_bytes = 0

    def add_result(self, piece: int, result: bytes) -> None:
        """The piece has its result."""
        self.done.append(piece)
        self.results.append(result)
        self.size_bytes += len(result)

    def take_back(self, pieces: Sequence[int]) -> None:
        """Results that no checkpoint holds yet are dropped, the others reopened."""
        taken = set(pieces)
        kept = [at for at, piece in enumerate(self.done) if piece not in taken]
        pending = taken.intersection(self.done)
        self.done = [self.done[at] for at in kept]
        self.results = [self.results[at] for at in kept]
        self.size_bytes = sum(map(len, self.results))
        self.reopened += sorted(taken - pending)

    def following(self) -> PendingOutcomes:
        """What comes after this, for the next checkpoint: nothing yet."""
        return PendingOutcomes(self.shape, self.seq + 1)

    def blob(self) -> bytes:
        """The results as they are kept."""
        return encode_results(self.shape, self.results) if self.results else b""

    @property
    def vector_length(self) -> int | None:
        """The length that all vectors have; None where they may differ, or there are none."""
        if self.shape is not Shape.VECTOR or not self.results:
            return None
        return vector_length(self.shape, self.results[0])

    def event(self, fence: int, unproven: Mapping[int, int]) -> ShardEvent:
        """What the checkpoint says, under its fence."""
        return ShardEvent(
            fence=fence,
            done=tuple(self.done),
            dead=tuple(self.dead),
            reopened=tuple(self.reopened),
            attempts=self.attempts,
            cuts=tuple(self.cuts),
            unproven=unproven.get(self.done[0]) if self.done else None,
            doubts=self.in_doubt,
        )


class PendingCosts:
    """What requests cost, or may have cost."""

    __slots__ = ("_bills", "_pay", "_usages", "doubt")

    def __init__(self, pay: Callable[[int], None]) -> None:
        """``pay`` is told at once what is spent, or possibly spent, in picodollars."""
        self._pay = pay
        self.reset()

    def reset(self) -> None:
        """Gather for the next checkpoint."""
        self._usages: list[Usage] = []
        self._bills: list[Bill] = []
        self.doubt = _NO_DOUBT

    def add_usage(self, usage: Usage) -> None:
        """An answered request cost this."""
        self._usages.append(usage)
        self._pay(usage.cost_picousd)

    def add_bill(self, bill: Bill) -> None:
        """Which pieces an answered request was for, and each one's part of what it cost."""
        self._bills.append(bill)

    def add_doubt(self, doubt: Doubt) -> None:
        """This may have been billed without a result."""
        self.doubt = self.doubt + doubt
        self._pay(doubt.cost_picousd)

    @property
    def usage(self) -> Usage:
        """All usages together."""
        return Usage.total(self._usages)

    @property
    def bills(self) -> bytes | None:
        """The bills as they are kept; None where there are none."""
        return encode_bills(self._bills) if self._bills else None
