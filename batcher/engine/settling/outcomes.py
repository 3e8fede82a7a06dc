"""What becomes of a call's pieces, one by one: results, dead letters, repairs."""

from __future__ import annotations

from collections.abc import Mapping

from batcher.core.errors import RowError
from batcher.core.failures.verdicts import Dead
from batcher.core.kind import Broken, Invalid
from batcher.engine.settling.arrivals import Arrivals
from batcher.engine.settling.failing.known_good import KnownGood
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.settling.reading import KeptOutcome
from batcher.engine.settling.repairs import Repairs
from batcher.engine.settling.vector_length import VectorLength
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter


class Outcomes:
    """Records the outcomes of good answers, and has done what they ask for."""

    def __init__(
        self,
        checkpoint_writer: CheckpointWriter,
        arrivals: Arrivals,
        verdicts: Verdicts,
        *,
        repairs: Repairs,
        known_good: KnownGood,
        vectors: VectorLength,
    ) -> None:
        self._checkpoint_writer = checkpoint_writer
        self._arrivals = arrivals
        self._verdicts = verdicts
        self._repairs = repairs
        self._known_good = known_good
        self._vectors = vectors

    async def take(
        self, call: Call, outcomes: list[KeptOutcome], sent_at: float, *, is_whole: bool = True
    ) -> None:
        """These are the outcomes of the call's pieces; vectors must have the length of the job's.

        ``sent_at`` is when the request left; ``is_whole``: its answer was not cut off.
        """
        if self._vectors.is_needed:
            outcomes = await self._vectors.check(call, outcomes)
        self._settle(call, outcomes, sent_at, is_whole=is_whole)

    def unsendable(self, call: Call, failed: Mapping[int, RowError]) -> None:
        """Some pieces of the call cannot be sent, for this reason each; the others go without."""
        for piece, error in failed.items():
            self._verdicts.bury_piece(call, piece, error.code, str(error))
        if left := tuple(piece for piece in call.pieces if piece not in failed):
            self._verdicts.again(call.part(left))

    def _settle(
        self, call: Call, outcomes: list[KeptOutcome], sent_at: float, *, is_whole: bool
    ) -> None:
        shard = call.shard
        broken: list[int] = []
        first_broken: Broken | None = None
        size = shard.pending_bytes
        done_piece: int | None = None
        refused = common = False
        invalid: list[tuple[Call, Invalid]] = []
        for piece, outcome in zip(call.pieces, outcomes, strict=True):
            if isinstance(outcome, bytes):
                shard.settle(piece, outcome, is_whole=is_whole)
                done_piece = piece
            elif isinstance(outcome, Broken):
                broken.append(piece)
                first_broken = first_broken or outcome
            elif isinstance(outcome, Invalid):
                invalid.append((call.of_piece(piece), outcome))
            elif outcome.common:
                common = True
                self._verdicts.reject(call.of_piece(piece), Dead(outcome.code, outcome.message))
            else:
                refused = True
                self._verdicts.bury_piece(call, piece, outcome.code, outcome.message)
        self._checkpoint_writer.note_result(shard.pending_bytes - size)
        if done_piece is not None:
            self._known_good.remember(call, done_piece)
            self._repairs.note_result()
        opens = refused or done_piece is not None
        if opens or invalid or common:
            # Until a first result no more requests go at once for answers without one, of which a
            # few may be enough to stop.
            opens = opens or self._repairs.had_result
            self._arrivals.served(sent_at, opens=opens, proves=not common)
        if invalid:
            self._repairs.repair(invalid)
        if first_broken is not None:
            part = call if len(broken) == len(call.pieces) else call.part(tuple(broken))
            self._repairs.ask_anew(part, first_broken)
        if shard.finished:
            self._checkpoint_writer.request()
