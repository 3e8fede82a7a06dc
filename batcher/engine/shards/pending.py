"""What a leased shard's next checkpoint will say, gathered since the last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from batcher.core.model import Bill, DeadLetter, Doubt, Usage
from batcher.core.progress import Amounts, ShardEvent
from batcher.engine.shards.payload import encode_bills

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
        "size_bytes",
    )

    def __init__(self, seq: int = 0) -> None:
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
