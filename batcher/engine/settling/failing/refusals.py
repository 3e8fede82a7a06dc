"""What a status does that refuses: it is the call's own if others succeed, else everybody's."""

from __future__ import annotations

from batcher.core.failures.verdicts import Refusal, Split, Verdict, after_refusals
from batcher.engine.job.endings import Endings
from batcher.engine.settling.failing.failure_parts import FailureParts
from batcher.engine.settling.failing.known_good import KnownGoodCall
from batcher.engine.shards.call import Call


class Refusals:
    """Calls refused by their status: the key, the model, the address, or the call itself."""

    def __init__(self, parts: FailureParts) -> None:
        self._parts = parts

    async def refuse(self, call: Call, refusal: Refusal) -> None:
        """The call was refused."""
        call.attempts += 1
        self._parts.telemetry.retried()
        if self._parts.state.proves(call.refused_at):
            self._among_others(call, refusal)
            self._parts.retries.wake()
            return
        had_success = self._parts.verdicts.had_success
        everybody = self._parts.state.refused(call, refusal, had_success=had_success)
        if await self._asks_known_good(call, refusal):
            self._parts.retries.again(call)
            return
        if everybody:
            self._parts.retries.again(call)
            self._parts.end(Endings.refused(refusal.reason))
            return
        if self._parts.state.doubted:
            self._parts.state.probe_failed()
        if not self._parts.verdicts.had_success:
            self._at_first(call, refusal)
        elif self._parts.state.doubted:
            self._parts.retries.again(call)
        else:
            self._among_others(call, refusal)
        self._parts.retries.wake()

    def refuse_known_good(self, call: KnownGoodCall, verdict: Verdict, message: str) -> None:
        """What was answered before is not this time; three times in a row prove that all are."""
        if self._parts.known_good.refused(call):
            reason = verdict.reason if isinstance(verdict, Refusal) else message
            self._parts.end(Endings.refused(reason))

    async def _asks_known_good(self, call: Call, refusal: Refusal) -> bool:
        """Whether what was answered before goes out once more, and will tell who is refused.

        Not where a key is refused: a cache in between might answer for it.
        """
        if not self._parts.verdicts.had_success or refusal.unsigned:
            return False
        if not (self._parts.state.doubted and self._parts.state.is_alone):
            return False
        return await self._parts.known_good.ask(call.shard)

    def _at_first(self, call: Call, refusal: Refusal) -> None:
        """Nothing has succeeded yet: see what becomes of others, and of parts."""
        if len(call.pieces) > 1:
            self._parts.retries.divide(call, last=True)
        else:
            self._parts.verdicts.hold_refused(call, refusal)

    def _among_others(self, call: Call, refusal: Refusal) -> None:
        state = self._parts.state
        verdict = after_refusals(
            call.attempts, pieces=len(call.pieces), halved=call.halved, refusal=refusal
        )
        if verdict is None:
            self._parts.retries.later(call, call.attempts)
        elif isinstance(verdict, Split):
            self._parts.retries.divide(call)
        elif refusal.unsigned and not state.proves(call.refused_at):
            # A key that nobody is served with any more; the last rows are no worse than others.
            self._parts.retries.again(call)
            self._parts.end(Endings.refused(refusal.reason))
        elif not state.proves(call.refused_at) and state.doubts_unproven(refusal):
            self._parts.retries.again(call)
        else:
            self._parts.verdicts.bury(call, verdict)
