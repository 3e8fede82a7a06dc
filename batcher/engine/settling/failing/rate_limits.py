"""What a rate limit does: everyone pauses once, or the job does."""

from __future__ import annotations

from collections.abc import Callable

from batcher.core.failures.verdicts import PauseJob, SharedPause
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.routes.online.pace import Pace, Sent
from batcher.engine.settling.failing.provider_state import ProviderState
from batcher.engine.settling.failing.retries import Retries
from batcher.engine.telemetry.run_telemetry import RunTelemetry
from batcher.ports import Clock


class RateLimits:
    """Acts on answers that say that there were too many requests, or that no more are paid for."""

    def __init__(
        self,
        state: ProviderState,
        retries: Retries,
        pace: Pace,
        *,
        telemetry: RunTelemetry,
        clock: Clock,
        end: Callable[[Ending], None],
    ) -> None:
        """``end`` stops the run."""
        self._state = state
        self._retries = retries
        self._pace = pace
        self._telemetry = telemetry
        self._clock = clock
        self._end = end

    async def pause(self, sent: Sent, pause: SharedPause, said: str) -> None:
        """A rate limit: try this one again when all may go on, attempts untouched."""
        self._telemetry.rate_limited(said)
        self._state.rate_limited(said)
        wait = await self._pace.pause(sent, pause)
        if wait is not None:
            self._telemetry.paused(sent.call, wait)
        self._retries.again(sent.call)

    def stop(self, sent: Sent, pause: PauseJob) -> None:
        """A daily limit, or no credit: the job pauses, and this one is sent when it goes on."""
        self._retries.again(sent.call)
        self._end(Endings.paused(pause.reason, pause.wait_seconds, wall=self._clock.wall()))
