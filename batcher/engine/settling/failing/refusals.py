"""What a status does that refuses: it is the call's own if others succeed, else everybody's."""

from __future__ import annotations

from collections.abc import Callable

from batcher.core.failures.verdicts import Refusal, Split, Verdict, after_refusals
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.settling.failing.known_good import KnownGood, KnownGoodCall
from batcher.engine.settling.failing.provider_state import ProviderState
from batcher.engine.settling.failing.retries import Retries
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.shards.call import Call
from batcher.engine.telemetry.run_telemetry import RunTelemetry


class Refusals:
    """Calls refused by their status: the key, the model, the address, or the call itself."""

    def __init__(
        self,
        state: ProviderState,
        retries: Retries,
        verdicts: Verdicts,
        known_good: KnownGood,
        *,
        telemetry: RunTelemetry,
        end: Callable[[Ending], None],
    ) -> None:
        """``end`` stops the run."""
        self._state = state
        self._retries = retries
        self._verdicts = verdicts
        self._known_good = known_good
        self._telemetry = telemetry
        self._end = end

    async def refuse(self, call: Call, refusal: Refusal) -> None:
        """The call was refused."""
        call.attempts += 1
        self._telemetry.retried()
        if self._state.proves(call.refused_at):
            self._among_others(call, refusal)
            self._retries.wake()
            return
        had_success = self._verdicts.had_success
        everybody = self._state.refused(call, refusal, had_success=had_success)
        if await self._asks_known_good(call, refusal):
            self._retries.again(call)
            return
        if everybody:
            self._retries.again(call)
            self._end(Endings.refused(refusal.reason))
            return
        if self._state.doubted:
            self._state.probe_failed()
        if not self._verdicts.had_success:
            self._at_first(call, refusal)
        elif self._state.doubted:
            self._retries.again(call)
        else:
            self._among_others(call, refusal)
        self._retries.wake()

    def refuse_known_good(self, call: KnownGoodCall, verdict: Verdict, message: str) -> None:
        """What was answered before is not this time; three times in a row prove that all are."""
        if self._known_good.refused(call):
            reason = verdict.reason if isinstance(verdict, Refusal) else message
            self._end(Endings.refused(reason))

    async def _asks_known_good(self, call: Call, refusal: Refusal) -> bool:
        """Whether what was answered before goes out once more, and will tell who is refused.

        Not where a key is refused: a cache in between might answer for it.
        """
        if not self._verdicts.had_success or refusal.unsigned:
            return False
        if not (self._state.doubted and self._state.is_alone):
            return False
        return await self._known_good.ask(call.shard)

    def _at_first(self, call: Call, refusal: Refusal) -> None:
        """Nothing has succeeded yet: see what becomes of others, and of parts."""
        if len(call.pieces) > 1:
            self._retries.divide(call, last=True)
        else:
            self._verdicts.hold_refused(call, refusal)

    def _among_others(self, call: Call, refusal: Refusal) -> None:
        state = self._state
        verdict = after_refusals(
            call.attempts, pieces=len(call.pieces), halved=call.halved, refusal=refusal
        )
        if verdict is None:
            self._retries.later(call, call.attempts)
        elif isinstance(verdict, Split):
            self._retries.divide(call)
        elif refusal.unsigned and not state.proves(call.refused_at):
            # A key that nobody is served with any more; the last rows are no worse than others.
            self._retries.again(call)
            self._end(Endings.refused(refusal.reason))
        elif not state.proves(call.refused_at) and state.doubts_unproven(refusal):
            self._retries.again(call)
        else:
            self._verdicts.bury(call, verdict)
