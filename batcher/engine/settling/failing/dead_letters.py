"""The dead letters of one run: pieces that failed for good, with the reason, at their shards."""

from __future__ import annotations

from collections.abc import Callable

from batcher.core.failures.verdicts import Dead
from batcher.core.text.redaction import redact
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.telemetry.run_telemetry import RunTelemetry


class DeadLetters:
    """Writes pieces off."""

    def __init__(
        self,
        checkpoint_writer: CheckpointWriter,
        telemetry: RunTelemetry,
        *,
        secrets: tuple[str, ...],
        stop_at_first: bool,
        end: Callable[[Ending], None],
    ) -> None:
        """``secrets`` are struck from messages; ``end`` stops the run."""
        self._checkpoint_writer = checkpoint_writer
        self._telemetry = telemetry
        self._secrets = secrets
        self._stop_at_first = stop_at_first
        self._end = end

    def bury(self, call: Call, dead: Dead) -> None:
        """All pieces of the call failed for good."""
        for piece in call.pieces:
            self.bury_piece(call, piece, dead.code, dead.message)

    def bury_piece(self, call: Call, piece: int, code: str, message: str) -> None:
        """A piece failed for good."""
        shard = call.shard
        if shard.lost:
            return
        attempts = max(call.attempts, 1) + call.repairs
        row = shard.bury(piece, code, redact(message, self._secrets), attempts)
        if row is not None:
            self._telemetry.buried(call, row, code)
        if self._stop_at_first:
            self._end(Endings.at_dead_letter())
        if shard.finished:
            self._checkpoint_writer.request()
