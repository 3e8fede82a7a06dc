"""What a worker tells of itself: to a log and to its metrics, and whether it hears the database."""

from __future__ import annotations

from pathlib import PurePath
from traceback import extract_tb

from batcher.core.errors import StoreError
from batcher.engine.telemetry.metrics import Meters
from batcher.engine.telemetry.run_telemetry import TelemetrySinks
from batcher.ports import Clock, Event, Log, Trace


class WorkerTelemetry:
    """The log, the metrics and the trace of one worker."""

    def __init__(self, log: Log, clock: Clock, trace: Trace | None = None) -> None:
        """``clock`` is the engine's."""
        self.log = log
        self.trace = trace
        self.meters = Meters()
        self._clock = clock
        self._heard_at: float | None = None

    def sinks(self, kind: str, model: str) -> TelemetrySinks:
        """Where the runs of jobs of a kind and a model tell what happens."""
        return TelemetrySinks(self.log, self.meters.of(kind, model), self.trace)

    def heard(self) -> None:
        """The database has answered."""
        self._heard_at = self._clock.now()

    def has_heard(self, within_seconds: float) -> bool:
        """Whether the database has answered so lately, and has not failed since."""
        return self._heard_at is not None and self._clock.now() - self._heard_at < within_seconds

    def lost_the_store(self, error: StoreError) -> None:
        """The database has failed."""
        self.meters.store_errors += 1
        self._heard_at = None
        self.log(Event.STORE_LOST, error=type(error).__name__)

    def stumbled(self, errand: str, error: Exception) -> None:
        """What the worker does again and again failed once, for no reason that was foreseen."""
        kind, where = type(error).__name__, place_of(error)
        self.log(Event.ERRAND_FAILED, errand=errand, error=kind, where=where)


def place_of(error: BaseException) -> str | None:
    """Where it was raised: file and line. Its words might quote a row."""
    frames = extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None
