"""A leased shard at work: its calls, what is settled, and what the next checkpoint will say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from batcher.core.kind import Shape
from batcher.core.model import Bill, DeadLetter, Doubt, Usage
from batcher.core.progress import (
    Amounts,
    Unit,
    replay,
    unproven,
    unsettled,
    worklist,
)
from batcher.engine.shards.answered import AnsweredPieces
from batcher.engine.shards.call import Call
from batcher.engine.shards.payload import ShardPlan, decode_asked, decode_plan
from batcher.engine.shards.pending import PendingCosts, PendingOutcomes
from batcher.engine.shards.piece_states import PieceStates
from batcher.engine.shards.worklist import Worklist
from batcher.ports import Checkpoint, Lease


class LeasedShard:
    """One lease and everything that happens under its fence.

    The engine records outcomes here; the writer of checkpoints takes them away. ``lost``: it is
    somebody else's by now. ``dirty``: something is recorded that no checkpoint holds.
    """

    def __init__(
        self,
        lease: Lease,
        shape: Shape,
        pay: Callable[[int], None] = lambda picousd: None,
        *,
        fixed_tokens: int = 0,
    ) -> None:
        """Rebuild the shard's state from the plan and the checkpoints of earlier leases.

        ``pay`` is told at once what is recorded as spent, or possibly spent, in picodollars.
        ``fixed_tokens`` are those of a request besides its pieces. Results are gathered by
        content where the lease has the contents.
        """
        self.id = lease.shard_id
        self.ordinal = lease.ordinal
        self.fence = lease.fence
        self.fixed_tokens = fixed_tokens
        self.plan: ShardPlan = decode_plan(lease.outline, lease.contents)
        self.asked = decode_asked(lease.outline, lease.prompts)
        self.lost = False
        self.dirty = False
        plan = self.plan
        progress = replay(lease.events)
        units = worklist(plan.starts, len(plan.tokens), progress)
        self.worklist = Worklist([_call(self, number, unit) for number, unit in enumerate(units)])
        self._pieces = PieceStates(
            plan.piece_rows,
            unsettled=(piece for unit in units for piece in unit.pieces),
            dead=progress.dead,
            unproven=unproven(lease.events),
            chunked=plan.chunks is not None,
            answers=None if lease.contents is None else AnsweredPieces(plan),
        )
        self._outcomes = PendingOutcomes(shape)
        self._costs = PendingCosts(pay)

    @property
    def calls(self) -> list[Call]:
        """The calls of the worklist."""
        return self.worklist.calls

    @property
    def finished(self) -> bool:
        """Whether every piece has its dead letter, or a result that nothing can take back."""
        return self._pieces.all_settled

    def left_behind(self, lease: Lease) -> list[Unit]:
        """What earlier owners may have sent without a result that is written down."""
        return unsettled(
            self.plan.starts,
            len(self.plan.tokens),
            lease.events,
            sent_fence=lease.sent_fence,
            sent_through=lease.sent_through,
        )

    def allows(self, call: Call) -> bool:
        """Whether the call's place is within the committed allowance."""
        return call.unit_index < self.worklist.sent_through

    def reserved(self, sent_through: int, worst_case: Callable[[Call, Sequence[int]], int]) -> int:
        """What the unsettled pieces of the first ``sent_through`` units may cost at the worst.

        As of the last checkpoint taken: what was settled since is in no checkpoint yet, and its
        worst case stays reserved until its cost is.
        """
        pending = self._pieces.unsettled_with((*self._outcomes.done, *self._outcomes.dead))
        return self.worklist.reserved(sent_through, worst_case, pending)

    # --- results ------------------------------------------------------------------------------

    @property
    def keeps_answers(self) -> bool:
        """Whether checkpoints tell results by content."""
        return self._pieces.answers is not None

    def settle(self, piece: int, result: bytes, *, is_whole: bool = True) -> None:
        """The piece has its result; ``is_whole``: the answer that it is of was not cut off."""
        self._outcomes.add_result(piece, result)
        self._outcomes.rows_done += self._pieces.settle(piece)
        if (answers := self._pieces.answers) is not None:
            answers.add(piece, result, is_whole=is_whole)
        self.dirty = True

    @property
    def pending_bytes(self) -> int:
        """How large the results for the next checkpoint are."""
        return self._outcomes.size_bytes

    @property
    def pending_length(self) -> int | None:
        """The length that all vectors for the next checkpoint have; None where they may differ."""
        return self._outcomes.vector_length

    @property
    def unproven(self) -> Mapping[int, int]:
        """The pieces whose vectors have a length that nobody has confirmed, with that length."""
        return self._pieces.unproven

    def leave_unproven(self, pieces: Iterable[int], length: int) -> None:
        """The pieces are about to get vectors of a length that nobody has confirmed."""
        self._pieces.unproven.update(dict.fromkeys(pieces, length))

    def prove(self, length: int) -> list[int]:
        """That is the length of all vectors; returns the pieces that have one of another."""
        self.dirty = self.dirty or bool(self._pieces.unproven)
        return self._pieces.prove(length)

    def take_back(self, pieces: Sequence[int]) -> None:
        """The pieces' results are none after all: they are unsettled again."""
        self._outcomes.take_back(pieces)
        for piece in sorted(set(pieces)):
            self._outcomes.rows_done -= self._pieces.take_back(piece)
        if self._pieces.answers is not None:
            self._pieces.answers.drop(pieces)
        self.dirty = True

    def bury(self, piece: int, code: str, message: str, attempts: int) -> int | None:
        """The piece failed for good; returns its row's number in the input if it is its first."""
        plan = self.plan
        row = plan.piece_rows[piece]
        self._outcomes.dead.append(piece)
        self._outcomes.letters.append(
            DeadLetter(
                row=plan.first_row + row,
                chunk=plan.chunk_of(piece),
                id=plan.id_of(row),
                code=code,
                message=message,
                attempts=attempts,
            )
        )
        self.dirty = True
        return plan.first_row + row if self._pieces.bury(piece) else None

    # --- for the next owner, and the bill -----------------------------------------------------

    def record_attempts(self, call: Call) -> None:
        """Keep the call's failed attempts for whoever owns the shard next."""
        for piece in call.pieces:
            self._outcomes.attempts[piece] = call.attempts
        self.dirty = True

    def record_cut(self, piece: int) -> None:
        """Keep that a bisection begins a request with this piece."""
        self._outcomes.cuts.append(piece)
        self.dirty = True

    def record_in_doubt(self, call: Call) -> None:
        """Keep what is in doubt of the call, for whoever gets its answer."""
        doubt = call.in_doubt
        amounts = (doubt.requests, doubt.pieces, doubt.tokens, doubt.cost_picousd)
        self._outcomes.in_doubt[call.pieces[0]] = amounts
        self.dirty = True

    def record_usage(self, usage: Usage) -> None:
        """Add what an answered request cost."""
        self._costs.add_usage(usage)
        self.dirty = True

    def record_bill(self, bill: Bill) -> None:
        """Keep which pieces an answered request was for, and each one's part of what it cost."""
        self._costs.add_bill(bill)
        self.dirty = True

    def record_doubt(self, doubt: Doubt) -> None:
        """Add what may have been billed without a result."""
        self._costs.add_doubt(doubt)
        self.dirty = True

    def take_checkpoint(self, *, sent_through: int, released: bool) -> Checkpoint:
        """Everything since the last checkpoint; the shard then gathers for the next one."""
        outcomes, answers = self._outcomes, self._pieces.answers
        checkpoint = Checkpoint(
            shard_id=self.id,
            fence=self.fence,
            seq=outcomes.seq,
            event=outcomes.event(self.fence, self._pieces.unproven),
            results=outcomes.blob(),
            dead=tuple(outcomes.letters),
            usage=self._costs.usage,
            doubt=self._costs.doubt,
            rows_done=outcomes.rows_done,
            sent_through=sent_through,
            finished=self.finished,
            released=released,
            bills=self._costs.bills,
            answered=() if answers is None else answers.take(self._pieces.unproven),
        )
        self._outcomes = outcomes.following()
        self._costs.reset()
        self.dirty = False
        return checkpoint


def _call(shard: LeasedShard, number: int, unit: Unit) -> Call:
    """The call for a unit of the worklist, with the history that checkpoints tell."""
    call = Call(shard, unit.pieces, number, unit.attempts, failed_before=unit.failed_before)
    call.reopened = unit.reopened
    if unit.doubt is not None:
        call.in_doubt = _doubt(unit.doubt)
    return call


def _doubt(amounts: Amounts) -> Doubt:
    requests, pieces, tokens, cost_picousd = amounts
    return Doubt(requests=requests, pieces=pieces, tokens=tokens, cost_picousd=cost_picousd)
