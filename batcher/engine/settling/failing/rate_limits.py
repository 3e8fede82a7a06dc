"""What a rate limit does: everyone pauses once, or the job does."""

from __future__ import annotations

from batcher.core.failures.verdicts import PauseJob, SharedPause
from batcher.engine.job.endings import Endings
from batcher.engine.routes.route import Feedback, Sent
from batcher.engine.settling.failing.failure_parts import FailureParts
from batcher.ports import Clock


class RateLimits:
    """Acts on answers that say that there were too many requests, or that no more are paid for."""

    def __init__(self, parts: FailureParts, feedback: Feedback, clock: Clock) -> None:
        self._parts = parts
        self._feedback = feedback
        self._clock = clock

    async def pause(self, sent: Sent, pause: SharedPause, said: str) -> None:
        """A rate limit: try this one again when all may go on, attempts untouched."""
        self._parts.telemetry.rate_limited(said)
        self._parts.state.rate_limited(said)
        wait = await self._feedback.pause(sent, pause)
        if wait is not None:
            self._parts.telemetry.paused(sent.call, wait)
        self._parts.retries.again(sent.call)

    def stop(self, sent: Sent, pause: PauseJob) -> None:
        """A daily limit, or no credit: the job pauses, and this one is sent when it goes on."""
        self._parts.retries.again(sent.call)
        self._parts.end(Endings.paused(pause.reason, pause.wait_seconds, wall=self._clock.wall()))
