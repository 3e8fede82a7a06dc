"""A leased shard at work: its calls, what is settled, and what the next checkpoint will say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from batcher.core.kind import Invalid, Shape
from batcher.core.model import Bill, DeadLetter, Doubt, Usage
from batcher.core.outage import Health
from batcher.core.progress import (
    Amounts,
    ShardEvent,
    Unit,
    replay,
    unproven,
    unsettled,
    worklist,
)
from batcher.engine.payload import ShardPlan, decode_plan, encode_bills, encode_results
from batcher.ports import Checkpoint, Lease

_NO_DOUBT = Doubt()


class Call:
    """Some pieces of a shard that are asked for in one request, until they are settled.

    ``position`` is the unit's place in the lease's worklist (the parts of a split keep it).
    ``attempts`` are failed attempts, ``silence`` those since when nobody else succeeded either;
    ``others_succeeded`` is the proof that they are the call's own. One that is ``convicted`` had
    dead letters before, so there was such proof, and it stands where the call fails again.
    ``refused_at`` is when its status refused it first.
    ``after_flush`` numbers the checkpoint that must be written before it is sent again: the one
    that says what the last attempt may have cost. ``request_id`` is ours for the last attempt,
    ``answer_id`` the provider's for the last failure; both may be empty. ``at_risk_picousd`` is
    what the attempt in flight may cost at the most, where there is a budget. ``reopened`` is how
    often its pieces were, and ``anew`` how often an answer since then was of no use: both make
    another idempotency key. ``conflicts`` is how often the key was refused, ``failure_id`` the
    provider's id of its last failure, and ``in_doubt`` what was sent under it and not answered.
    """

    __slots__ = (
        "after_flush",
        "anew",
        "answer_id",
        "at_risk_picousd",
        "attempts",
        "conflicts",
        "convicted",
        "failure_id",
        "first_tried_at",
        "halved",
        "in_doubt",
        "others_succeeded",
        "pieces",
        "position",
        "refused_at",
        "reopened",
        "repair",
        "repairs",
        "request_id",
        "shard",
        "silence",
        "tokens",
        "tried_at",
    )

    def __init__(
        self,
        shard: LeasedShard,
        pieces: tuple[int, ...],
        position: int,
        attempts: int = 0,
        *,
        convicted: bool = False,
    ) -> None:
        """Attempts restored from a checkpoint count as proof: only such are kept there."""
        self.shard = shard
        self.pieces = pieces
        self.position = position
        self.attempts = attempts
        self.silence = 0
        self.others_succeeded = attempts > 0
        self.convicted = convicted
        self.first_tried_at: float | None = None
        self.tried_at: float | None = None
        self.refused_at: float | None = None
        self.halved = False
        self.repair: Invalid | None = None
        self.repairs = 0
        self.after_flush = 0
        self.request_id = self.answer_id = self.failure_id = ""
        self.reopened = self.anew = self.conflicts = 0
        self.in_doubt = _NO_DOUBT
        self.at_risk_picousd = 0
        planned = shard.plan.tokens
        self.tokens = sum([planned[piece] for piece in pieces])

    def part(self, pieces: tuple[int, ...]) -> Call:
        """A call for some of the pieces, with this one's history."""
        part = Call(self.shard, pieces, self.position, self.attempts, convicted=self.convicted)
        part.silence = self.silence
        part.others_succeeded = self.others_succeeded
        part.first_tried_at = self.first_tried_at
        part.tried_at = self.tried_at
        part.refused_at = self.refused_at
        part.halved = self.halved
        part.after_flush = self.after_flush
        part.request_id, part.answer_id = self.request_id, self.answer_id
        part.reopened, part.anew = self.reopened, self.anew
        return part

    def halves(self) -> tuple[Call, Call]:
        """Two calls for half of the pieces each, with all their attempts before them.

        What has succeeded since the whole was tried proves as much for its parts.
        """
        middle = len(self.pieces) // 2
        first, second = self.part(self.pieces[:middle]), self.part(self.pieces[middle:])
        for half in (first, second):
            half.attempts = half.silence = 0
            half.tried_at = None
            half.halved = True
        return first, second

    def keep_in_doubt(self, doubt: Doubt) -> None:
        """This is what was sent under its idempotency key and not answered, all in all."""
        if doubt != self.in_doubt:
            self.in_doubt = doubt
            self.shard.record_in_doubt(self)

    def start(self, now: float) -> None:
        """It is sent: from now on the successes of others are held against it."""
        if self.tried_at is None:
            self.tried_at = now
            if self.first_tried_at is None:
                self.first_tried_at = now

    def fail(self, now: float, health: Health) -> bool:
        """Count a failure that may pass; returns whether others succeeded since the last try.

        While nobody succeeds it is nobody's own fault: of such failures only the first counts.
        """
        tried_at, self.tried_at = self.tried_at or now, now
        alone = health.last_success is not None and health.last_success >= tried_at
        if alone or not self.attempts:
            self.attempts += 1
            self.silence = 0
        else:
            self.silence += 1
        if health.proof is not None and health.proof >= (self.first_tried_at or now):
            self.others_succeeded = True
        return alone

    @property
    def tries(self) -> int:
        """Failures since the last that others' successes made the call's own, that one's included.

        Not an attempt too many: they say how long to wait, and that the call may be hopeless.
        """
        return self.attempts + self.silence


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
        keeps_bills: bool = False,
    ) -> None:
        """Rebuild the shard's state from the plan and the checkpoints of earlier leases.

        ``pay`` is told at once what is recorded as spent, or possibly spent, in picodollars.
        ``keeps_bills``: what each piece cost is asked for.
        """
        self._pay = pay
        self.id = lease.shard_id
        self.ordinal = lease.ordinal
        self.fence = lease.fence
        self.keeps_bills = keeps_bills
        self.plan: ShardPlan = decode_plan(lease.payload)
        self.lost = False
        self.sent_through = 0
        self.reserved_picousd = 0
        self.position = 0
        self._shape = shape
        self._seq = 0
        plan = self.plan
        progress = replay(lease.events)
        units = worklist(plan.starts, len(plan.tokens), progress)
        self.calls = [
            Call(self, unit.pieces, position, unit.attempts, convicted=unit.convicted)
            for position, unit in enumerate(units)
        ]
        for call, unit in zip(self.calls, units, strict=True):
            call.reopened = unit.reopened
            if unit.doubt is not None:
                call.in_doubt = _doubt(unit.doubt)
        self._unsettled = {piece for unit in units for piece in unit.pieces}
        self._row_left = Counter([plan.piece_rows[piece] for piece in self._unsettled])
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
        return not self._unsettled and not self.unproven

    def let_go(self) -> None:
        """The lease has ended: drop the calls, since they and the shard would keep each other."""
        self.calls = []

    @property
    def unsent(self) -> int:
        """How many units of the worklist were not sent yet."""
        return len(self.calls) - self.position

    def allows(self, call: Call) -> bool:
        """Whether the call's place is within the committed allowance."""
        return call.position < self.sent_through

    def reserved(self, sent_through: int, worst_case: Callable[[int], int]) -> int:
        """What the unsettled pieces of the first ``sent_through`` units may cost at the worst.

        As of the last checkpoint taken: what was settled since is in no checkpoint yet, and its
        worst case stays reserved until its cost is.
        """
        tokens = self.plan.tokens
        unsettled = self._unsettled.union(self._done, self._dead)
        return sum(
            worst_case(tokens[piece])
            for call in self.calls[:sent_through]
            for piece in call.pieces
            if piece in unsettled
        )

    def settle(self, piece: int, result: bytes) -> None:
        """The piece has its result."""
        self._done.append(piece)
        self._results.append(result)
        self.pending_bytes += len(result)
        self._close(piece)

    @property
    def pending_length(self) -> int | None:
        """The length of the vectors for the next checkpoint, whose blob holds one length alone."""
        if self._shape is not Shape.VECTOR or not self._results:
            return None
        return len(self._results[0]) // 4

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
            row = self.plan.piece_rows[piece]
            if self._row_left[row] == 0 and row not in self._dead_rows:
                self._rows_done -= 1
            self._row_left[row] += 1
            self._unsettled.add(piece)
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
        self._unsettled.discard(piece)
        self._row_left[row] -= 1
        if self._row_left[row] == 0 and row not in self._dead_rows:
            self._rows_done += 1
        self.dirty = True

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
