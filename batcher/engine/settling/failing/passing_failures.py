"""What a failure does that may pass: the call is sent later, in halves, or never again."""

from __future__ import annotations

from batcher.core.failures.verdicts import (
    MAX_ATTEMPTS,
    TRIES_BEFORE_HALVING,
    Backoff,
    after_attempts,
)
from batcher.engine.job.endings import Endings
from batcher.engine.settling.failing.failure_parts import FailureParts
from batcher.engine.settling.failing.known_good import KnownGoodCall
from batcher.engine.settling.failing.unproven_failures import told
from batcher.engine.shards.call import Call


class PassingFailures:
    """Timeouts, lost connections, 5xx and answers of no use."""

    def __init__(self, parts: FailureParts) -> None:
        self._parts = parts

    def back_off(self, call: Call, failure: Backoff) -> None:
        """A failure that may pass: later, in halves, or never again."""
        state = self._parts.state
        state.failed(told(failure))
        self._parts.telemetry.retried()
        if isinstance(call, KnownGoodCall):
            self._parts.known_good.drop(call)
            return
        unreachable = failure.code == "connect"
        nothing_yet = not state.has_answered and (
            unreachable or not self._parts.verdicts.had_success
        )
        if failure.lasting and nothing_yet and self._lasts(failure):
            self._parts.retries.again(call)
        elif state.in_outage:
            state.count_failure_in_outage(call)
            self._later_or_in_halves(call, failure)
        else:
            self._count(call, failure, unreachable=unreachable)
            self._parts.retries.wake()

    def _count(self, call: Call, failure: Backoff, *, unreachable: bool) -> None:
        """Count the failure against the call, and act by how many there were."""
        alone = self._parts.state.count_failure(call)
        if call.failed_before and not unreachable:
            call.others_succeeded = True
        if call.others_succeeded:
            call.shard.record_attempts(call)
        verdict = after_attempts(
            call.tries,
            pieces=len(call.pieces),
            halved=call.halved,
            others_succeed=call.others_succeeded,
            final=failure.final,
            code=failure.code,
            message=failure.message,
        )
        if verdict is None:
            self._later_or_in_halves(call, failure)
        elif alone or self._parts.verdicts.is_last_try:
            self._parts.verdicts.give_up(call, verdict)
        elif not self._parts.verdicts.hold_spent(call, verdict):
            self._parts.retries.later(call, call.tries, failure.wait_seconds)

    def _lasts(self, failure: Backoff) -> bool:
        """Before any success: probe a cause that no waiting mends; returns whether the run ends."""
        if self._parts.state.lasts():
            self._parts.end(Endings.refused(failure.lasting))
            return True
        self._parts.state.probe_failed()
        return False

    def _later_or_in_halves(self, call: Call, failure: Backoff) -> None:
        """Where nobody else can prove anything, the halves can: one of them may succeed."""
        if (
            len(call.pieces) == 1
            or failure.code == "connect"
            or call.tries < TRIES_BEFORE_HALVING
            or not self._parts.state.is_alone
            or any(other.tries < TRIES_BEFORE_HALVING for other in self._parts.retries.waiting())
        ):
            self._parts.retries.later(call, call.tries, failure.wait_seconds)
        else:
            self._parts.retries.divide(call)

    # --- outages of the last rows -------------------------------------------------------------

    def grant_last_try(self) -> bool:
        """In a long outage: let calls end that were spent before it, if there are no others."""
        if not self._parts.verdicts.grant_last_try():
            return False
        self._parts.state.forget_outage()
        return True

    async def ask_for_proof(self) -> None:
        """In an outage of the last rows, which have nobody beside them: see whether it is one."""
        if not (self._parts.verdicts.had_success and self._parts.state.in_outage):
            return
        first = None
        for call in self._parts.retries.waiting():
            if call.tries < MAX_ATTEMPTS and not call.others_succeeded:
                return
            first = first or call
        if first is not None:
            await self._parts.known_good.ask(first.shard)
