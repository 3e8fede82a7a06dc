"""A leased shard at work: its calls, what is settled, and what the next checkpoint will say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from batcher.core.kind import Shape
from batcher.core.model import Bill, DeadLetter, Doubt, Prompt, Usage
from batcher.core.progress import (
    Amounts,
    ShardEvent,
    Unit,
    replay,
    unproven,
    unsettled,
    worklist,
)
from batcher.engine.shards.call import Call
from batcher.engine.shards.payload import ShardPlan, decode_plan, decode_prompts, encode_bills
from batcher.engine.shards.results import encode_results, vector_length
from batcher.ports import Checkpoint, Lease

_NO_DOUBT = Doubt()


class LeasedShard:
    """One lease and everything that happens under its fence.

    The engine records outcomes here; the ledger takes them away as checkpoints.
    """

    def __init__(
        self,
        lease: Lease,
        shape: Shape,
        pay: Callable[[int], None] = lambda picousd: None,
        *,
        fixed_tokens: int = 0,
        prompts: Sequence[Prompt] | None = None,
    ) -> None:
        """Rebuild the shard's state from the plan and the checkpoints of earlier leases.

        ``pay`` is told at once what is recorded as spent, or possibly spent, in picodollars.
        ``fixed_tokens`` are those of a request besides its pieces. ``prompts`` are the plan's,
        where they are at hand already.
        """
        self._pay = pay
        self.id = lease.shard_id
        self.ordinal = lease.ordinal
        self.fence = lease.fence
        self.fixed_tokens = fixed_tokens
        self.plan: ShardPlan = decode_plan(lease.outline)
        if prompts is None:
            prompts = decode_prompts(lease.outline, lease.prompts)
        self.prompts = prompts
        self.lost = False
        self.sent_through = 0
        self.reserved_picousd = 0
        self.next_unit = 0
        self._shape = shape
        self._seq = 0
        plan = self.plan
        progress = replay(lease.events)
        units = worklist(plan.starts, len(plan.tokens), progress)
        self.calls = [
            Call(self, unit.pieces, unit_index, unit.attempts, failed_before=unit.failed_before)
            for unit_index, unit in enumerate(units)
        ]
        for call, unit in zip(self.calls, units, strict=True):
            call.reopened = unit.reopened
            if unit.doubt is not None:
                call.in_doubt = _doubt(unit.doubt)
        # A byte a piece, and no count for rows of one piece: many pieces may be leased at a time.
        self._unsettled = bytearray(len(plan.tokens))
        self._left = 0
        self._row_left: dict[int, int] | None = None if plan.chunks is None else Counter()
        for unit in units:
            for piece in unit.pieces:
                self._reopen(piece)
        self._dead_rows = {plan.piece_rows[piece] for piece in progress.dead}
        self.unproven = unproven(lease.events)
        self.left_behind: list[Unit] = unsettled(
            plan.starts,
            len(plan.tokens),
            lease.events,
            sent_fence=lease.sent_fence,
            sent_through=lease.sent_through,
        )
        self._reset()

    def _reset(self) -> None:
        self._done: list[int] = []
        self._results: list[bytes] = []
        self._reopened: list[int] = []
        self._dead: list[int] = []
        self._letters: list[DeadLetter] = []
        self._attempts: dict[int, int] = {}
        self._cuts: list[int] = []
        self._usages: list[Usage] = []
        self._bills: list[Bill] = []
        self._doubt = _NO_DOUBT
        self._doubts: dict[int, Amounts] = {}
        self._rows_done = 0
        self.pending_bytes = 0
        self.dirty = False

    @property
    def finished(self) -> bool:
        """Whether every piece has its dead letter, or a result that nothing can take back."""
        return not self._left and not self.unproven

    def let_go(self) -> None:
        """The lease has ended: drop the calls, since they and the shard would keep each other."""
        self.calls = []

    @property
    def unsent(self) -> int:
        """How many units of the worklist were not sent yet."""
        return len(self.calls) - self.next_unit

    def allows(self, call: Call) -> bool:
        """Whether the call's place is within the committed allowance."""
        return call.unit_index < self.sent_through

    def reserved(self, sent_through: int, worst_case: Callable[[int], int]) -> int:
        """What the unsettled pieces of the first ``sent_through`` units may cost at the worst.

        As of the last checkpoint taken: what was settled since is in no checkpoint yet, and its
        worst case stays reserved until its cost is.
        """
        tokens = self.plan.tokens
        unsettled = self._unsettled[:]
        for piece in (*self._done, *self._dead):
            unsettled[piece] = True
        return sum(
            worst_case(tokens[piece])
            for call in self.calls[:sent_through]
            for piece in call.pieces
            if unsettled[piece]
        )

    def settle(self, piece: int, result: bytes) -> None:
        """The piece has its result."""
        self._done.append(piece)
        self._results.append(result)
        self.pending_bytes += len(result)
        self._close(piece)

    @property
    def pending_length(self) -> int | None:
        """The length that all vectors for the next checkpoint have; None where they may differ."""
        if self._shape is not Shape.VECTOR or not self._results:
            return None
        return vector_length(self._shape, self._results[0])

    def leave_unproven(self, pieces: Iterable[int], length: int) -> None:
        """The pieces are about to get vectors of a length that nobody has confirmed."""
        self.unproven.update(dict.fromkeys(pieces, length))

    def prove(self, length: int) -> list[int]:
        """That is the length of all vectors; returns the pieces that have one of another."""
        wrong = [piece for piece, other in self.unproven.items() if other != length]
        if self.unproven:
            self.unproven = {}
            self.dirty = True
        return wrong

    def take_back(self, pieces: Sequence[int]) -> None:
        """The pieces' results are none after all: they are unsettled again."""
        taken = set(pieces)
        kept = [at for at, piece in enumerate(self._done) if piece not in taken]
        pending = taken.intersection(self._done)
        self._done = [self._done[at] for at in kept]
        self._results = [self._results[at] for at in kept]
        self.pending_bytes = sum(map(len, self._results))
        self._reopened += sorted(taken - pending)
        for piece in sorted(taken):
            if self._is_done(self.plan.piece_rows[piece]):
                self._rows_done -= 1
            self._reopen(piece)
            self.unproven.pop(piece, None)
        self.dirty = True

    def bury(self, piece: int, code: str, message: str, attempts: int) -> int | None:
        """The piece failed for good; returns its row's number in the input if it is its first."""
        plan = self.plan
        row = plan.piece_rows[piece]
        self._dead.append(piece)
        self._letters.append(
            DeadLetter(
                row=plan.first_row + row,
                chunk=plan.chunk_of(piece),
                id=plan.id_of(row),
                code=code,
                message=message,
                attempts=attempts,
            )
        )
        first = row not in self._dead_rows
        self._dead_rows.add(row)
        self._close(piece)
        return plan.first_row + row if first else None

    def _close(self, piece: int) -> None:
        row = self.plan.piece_rows[piece]
        self._left -= self._unsettled[piece]
        self._unsettled[piece] = False
        if self._row_left is not None:
            self._row_left[row] -= 1
        if self._is_done(row):
            self._rows_done += 1
        self.dirty = True

    def _reopen(self, piece: int) -> None:
        self._left += not self._unsettled[piece]
        self._unsettled[piece] = True
        if self._row_left is not None:
            self._row_left[self.plan.piece_rows[piece]] += 1

    def _is_done(self, row: int) -> bool:
        """Whether all pieces of the row have results; asked where one of them is settled."""
        return row not in self._dead_rows and not (self._row_left and self._row_left[row])

    def record_attempts(self, call: Call) -> None:
        """Keep the call's failed attempts for whoever owns the shard next."""
        for piece in call.pieces:
            self._attempts[piece] = call.attempts
        self.dirty = True

    def record_cut(self, piece: int) -> None:
        """Keep that a bisection begins a request with this piece."""
        self._cuts.append(piece)
        self.dirty = True

    def record_usage(self, usage: Usage) -> None:
        """Add what an answered request cost."""
        self._usages.append(usage)
        self._pay(usage.cost_picousd)
        self.dirty = True

    def record_bill(self, bill: Bill) -> None:
        """Keep which pieces an answered request was for, and each one's part of what it cost."""
        self._bills.append(bill)
        self.dirty = True

    def record_doubt(self, doubt: Doubt) -> None:
        """Add what may have been billed without a result."""
        self._doubt = self._doubt + doubt
        self._pay(doubt.cost_picousd)
        self.dirty = True

    def record_in_doubt(self, call: Call) -> None:
        """Keep what is in doubt of the call, for whoever gets its answer."""
        doubt = call.in_doubt
        amounts = (doubt.requests, doubt.pieces, doubt.tokens, doubt.cost_picousd)
        self._doubts[call.pieces[0]] = amounts
        self.dirty = True

    def take_checkpoint(self, *, sent_through: int, released: bool) -> Checkpoint:
        """Everything since the last checkpoint; the shard then gathers for the next one."""
        checkpoint = Checkpoint(
            shard_id=self.id,
            fence=self.fence,
            seq=self._seq,
            event=ShardEvent(
                fence=self.fence,
                done=tuple(self._done),
                dead=tuple(self._dead),
                reopened=tuple(self._reopened),
                attempts=self._attempts,
                cuts=tuple(self._cuts),
                unproven=self.unproven.get(self._done[0]) if self._done else None,
                doubts=self._doubts,
            ),
            results=encode_results(self._shape, self._results) if self._results else b"",
            dead=tuple(self._letters),
            usage=Usage.total(self._usages),
            doubt=self._doubt,
            rows_done=self._rows_done,
            sent_through=sent_through,
            finished=self.finished,
            released=released,
            bills=encode_bills(self._bills) if self._bills else None,
        )
        self._seq += 1
        self._reset()
        return checkpoint


def _doubt(amounts: Amounts) -> Doubt:
    requests, pieces, tokens, cost_picousd = amounts
    return Doubt(requests=requests, pieces=pieces, tokens=tokens, cost_picousd=cost_picousd)
