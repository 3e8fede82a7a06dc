"""What is known of the provider by now, as one run sees it: whether it is out, or refuses all.

The decisions are the core's (:mod:`batcher.core.failures.outage`); here they get the time, and how
many requests are in flight.
"""

from __future__ import annotations

from batcher.core.failures.outage import Span
from batcher.core.failures.verdicts import Refusal
from batcher.engine.routes.route import Feedback
from batcher.engine.routes.send_gate import SendGate
from batcher.engine.settling.failing.unproven_failures import proof_needed
from batcher.engine.shards.call import Call
from batcher.ports import Clock


class ProviderState:
    """The health of one run's provider, now."""

    def __init__(self, feedback: Feedback, gate: SendGate, clock: Clock) -> None:
        self._feedback = feedback
        self._health = feedback.health
        self._gate = gate
        self._clock = clock

    @property
    def is_alone(self) -> bool:
        """Whether no other call is in flight than the one that is being settled."""
        return self._gate.is_alone

    @property
    def in_outage(self) -> bool:
        """Whether everybody fails."""
        return self._health.in_outage(self._clock.now())

    @property
    def doubted(self) -> bool:
        """Whether everybody may be refused."""
        return self._health.doubted

    @property
    def has_answered(self) -> bool:
        """Whether anything has succeeded in this run."""
        return self._health.last_success is not None

    def given_up(self, outage_timeout: float) -> str | None:
        """Why the job should pause, or None. ``outage_timeout`` is in seconds."""
        return self._health.given_up(self._clock.now(), outage_timeout)

    # --- what is told -------------------------------------------------------------------------

    def succeeded(self, sent_at: float) -> None:
        """A request that was sent then has a whole answer."""
        self._health.succeeded(self._clock.now(), sent_at)

    def vouched(self, sent_at: float) -> None:
        """What was answered before was answered once more, while others were refused."""
        self._health.vouched(self._clock.now(), sent_at)

    def rate_limited(self, said: str) -> None:
        """A 429 came."""
        self._health.rate_limited(self._clock.now(), said)

    def failed(self, told: str) -> None:
        """A request failed in a way that may pass; ``told`` says in which."""
        self._health.failed(self._clock.now(), told)

    def probe_failed(self) -> None:
        """In an outage or a doubt: wait before the next probe."""
        self._feedback.probe_failed()

    def forget_outage(self) -> None:
        """Let all that waits be tried, as if others had succeeded lately."""
        self._health.failing_since = None

    # --- whose fault it is --------------------------------------------------------------------

    def count_failure(self, call: Call) -> bool:
        """Count a call's failure that may pass; returns whether others succeeded meanwhile."""
        return call.fail(self._clock.now(), self._health)

    def count_failure_in_outage(self, call: Call) -> None:
        """Count a probe's failure, which is no attempt."""
        call.tried_at = self._clock.now()
        call.silence += 1
        self.probe_failed()

    def lasts(self) -> bool:
        """A request failed by a cause that no waiting mends; returns whether everybody does."""
        return self._health.lasts(alone=self.is_alone)

    def refused(self, call: Call, refusal: Refusal, *, had_success: bool) -> bool:
        """A call was refused, the first time or again; returns whether everybody is."""
        now = self._clock.now()
        if call.refused_at is None:
            call.refused_at = now
        enough, probes = proof_needed(refusal, had_success=had_success)
        return self._health.refused(
            now,
            refusal.likeness,
            Span(call.shard.id, call.pieces[0], call.pieces[-1]),
            enough=enough,
            probes=probes,
            alone=self.is_alone,
        )

    def proves(self, since: float | None) -> bool:
        """Whether a request that was sent since then has succeeded."""
        return self._health.proves(since)

    def doubts_unproven(self, refusal: Refusal) -> bool:
        """Whether a request may not be given up without a proof: too many are refused alike."""
        return self._health.doubts_unproven(refusal.likeness, named=refusal.named)
