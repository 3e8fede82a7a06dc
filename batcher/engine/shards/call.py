"""One request in the making: which pieces it asks for, and what has become of it so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batcher.core.failures.outage import Health
from batcher.core.kind import Invalid
from batcher.core.model import Doubt, Prompt
from batcher.core.row.attachments import KeptAttachment
from batcher.core.row.parameters import RowParameters

if TYPE_CHECKING:
    from batcher.engine.shards.leased_shard import LeasedShard

_NO_DOUBT = Doubt()


class Call:
    """Some pieces of a shard that are asked for in one request, until they are settled.

    ``unit_index`` is the unit's place in the lease's worklist (the parts of a split keep it).
    ``attempts`` are failed attempts, ``silence`` those since when nobody else succeeded either;
    ``others_succeeded`` is the proof that they are the call's own. One that is ``failed_before``
    had dead letters before, so there was such proof, and it stands where the call fails again.
    ``refused_at`` is when its status refused it first. ``after_flush`` numbers the checkpoint that
    must be written before it is sent again: the one that says what the last attempt may have cost.
    ``request_id`` is ours for the last attempt, ``answer_id`` the provider's for the last failure;
    both may be empty. ``at_risk_picousd`` is what the attempt in flight may cost at the most, where
    there is a budget. ``reopened`` is how often its pieces were, and ``anew`` how often an answer
    since then was of no use: both make another idempotency key. ``conflicts`` is how often the key
    was refused, ``failure_id`` the provider's id of its last failure, and ``in_doubt`` what was
    sent under it and not answered.
    """

    __slots__ = (
        "after_flush",
        "anew",
        "answer_id",
        "at_risk_picousd",
        "attempts",
        "conflicts",
        "failed_before",
        "failure_id",
        "first_tried_at",
        "halved",
        "in_doubt",
        "others_succeeded",
        "pieces",
        "refused_at",
        "reopened",
        "repair",
        "repairs",
        "request_id",
        "shard",
        "silence",
        "tokens",
        "tried_at",
        "unit_index",
    )

    def __init__(
        self,
        shard: LeasedShard,
        pieces: tuple[int, ...],
        unit_index: int,
        attempts: int = 0,
        *,
        failed_before: bool = False,
    ) -> None:
        """Attempts restored from a checkpoint count as proof: only such are kept there."""
        self.shard = shard
        self.pieces = pieces
        self.unit_index = unit_index
        self.attempts = attempts
        self.silence = 0
        self.others_succeeded = attempts > 0
        self.failed_before = failed_before
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
        self.tokens = shard.fixed_tokens + sum([planned[piece] for piece in pieces])

    def prompts(self) -> list[Prompt]:
        """What each of its pieces asks."""
        prompts = self.shard.asked.prompts
        return [prompts[piece] for piece in self.pieces]

    def attachments(self) -> list[tuple[KeptAttachment, ...]]:
        """The files of each of its pieces."""
        attachments = self.shard.asked.attachments
        if attachments is None:
            return [()] * len(self.pieces)
        return [attachments[piece] for piece in self.pieces]

    @property
    def parameters(self) -> RowParameters | None:
        """What its request has of its rows' own, which is the same for all of them."""
        parameters = self.shard.asked.parameters
        return None if parameters is None else parameters[self.pieces[0]]

    def part(self, pieces: tuple[int, ...]) -> Call:
        """A call for some of the pieces, with this one's history."""
        self.shard.worklist.divided.add(self.unit_index)
        part = Call(
            self.shard, pieces, self.unit_index, self.attempts, failed_before=self.failed_before
        )
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

    def of_piece(self, piece: int) -> Call:
        """The call for one of its pieces alone: itself where it has no other."""
        return self if len(self.pieces) == 1 else self.part((piece,))

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
