"""What those share who act on failed calls: whom they ask, and what they have done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batcher.engine.job.endings import Ending
from batcher.engine.settling.failing.known_good import KnownGood
from batcher.engine.settling.failing.provider_state import ProviderState
from batcher.engine.settling.failing.retries import Retries
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.telemetry.run_telemetry import RunTelemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureParts:
    """One of each, for one run. ``end`` stops the run."""

    state: ProviderState
    retries: Retries
    verdicts: Verdicts
    known_good: KnownGood
    telemetry: RunTelemetry
    end: Callable[[Ending], None]
