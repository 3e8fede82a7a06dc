"""The verdicts on calls carried out: again, halves, a dead letter, or held until others succeed."""

from __future__ import annotations

from collections.abc import Callable

from batcher.core.failures.verdicts import Dead, Refusal, Split
from batcher.core.kind import Invalid
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.settling.failing.dead_letters import DeadLetters
from batcher.engine.settling.failing.retries import Retries
from batcher.engine.settling.failing.unproven_failures import UnprovenFailures
from batcher.engine.shards.call import Call


class Verdicts:
    """What becomes of calls that failed, once it is decided."""

    def __init__(
        self,
        dead_letters: DeadLetters,
        retries: Retries,
        *,
        had_success: bool,
        end: Callable[[Ending], None],
    ) -> None:
        """``had_success``: a request of the job has succeeded before; ``end`` stops the run."""
        self._dead_letters = dead_letters
        self._retries = retries
        self._unproven = UnprovenFailures(had_success=had_success)
        self._invalid: list[tuple[Call, Invalid]] = []
        self._end = end

    @property
    def had_success(self) -> bool:
        """Whether any request of the job has succeeded, as far as is known here."""
        return self._unproven.had_success

    @property
    def are_waiting(self) -> bool:
        """Whether calls are held back because no success proves that the fault is theirs."""
        return bool(self._invalid) or bool(self._unproven)

    @property
    def is_last_try(self) -> bool:
        """Whether calls that were spent in an outage end at their next failure."""
        return self._unproven.last_try

    # --- carried out at once ------------------------------------------------------------------

    def again(self, call: Call) -> None:
        """Send the call again as soon as it may be."""
        self._retries.again(call)

    def give_up(self, call: Call, verdict: Split | Dead) -> None:
        """Halves, or a dead letter."""
        if isinstance(verdict, Split):
            self.split(call, verdict)
        else:
            self._dead_letters.bury(call, verdict)

    def split(self, call: Call, split: Split) -> None:
        """Two halves instead of one; a single piece cannot be split."""
        if len(call.pieces) == 1:
            self.reject(call, Dead(split.code, split.message))
            return
        self._retries.divide(call)

    def reject(self, call: Call, dead: Dead) -> None:
        """A row's own fault, once any success proves that it is not everybody's."""
        call.attempts += 1
        if self.had_success:
            self._dead_letters.bury(call, dead)
        elif self._unproven.hold_rejected(call, dead):
            self._unproven.forget()
            self._end(Endings.refused(f"every request fails the same way: {dead.message}"))
        self._retries.wake()

    def bury(self, call: Call, dead: Dead) -> None:
        """All pieces of the call failed for good."""
        self._dead_letters.bury(call, dead)

    def bury_piece(self, call: Call, piece: int, code: str, message: str) -> None:
        """A piece failed for good."""
        self._dead_letters.bury_piece(call, piece, code, message)

    # --- held until others succeed ------------------------------------------------------------

    def hold_spent(self, call: Call, verdict: Split | Dead) -> bool:
        """Hold a call back; False where so many are held that it cannot be their fault."""
        return self._unproven.hold_spent(call, verdict)

    def hold_refused(self, call: Call, refusal: Refusal) -> None:
        """Hold a call back that is to be tried again once another succeeds."""
        self._unproven.hold_refused(call, refusal)

    def hold_invalid(self, call: Call, invalid: Invalid) -> None:
        """Hold a call back whose answers were all invalid, until any answer gives a result."""
        self._invalid.append((call, invalid))

    def learn_of_result(self) -> None:
        """An answer gave a result: what was invalid before it was its rows' own fault."""
        self._bury_invalid()

    def _bury_invalid(self) -> None:
        held, self._invalid = self._invalid, []
        for call, invalid in held:
            self.bury_piece(call, call.pieces[0], invalid.code, invalid.message)

    def learn_of_success(self) -> None:
        """A request of the job has succeeded, here or in another worker."""
        if not self._unproven.wants_success:
            return
        own, again = self._unproven.succeeded()
        for call, verdict in own:
            self.give_up(call, verdict)
        for call in again:
            self._retries.again(call)

    def give_up_all(self) -> None:
        """Nothing else is left to be tried: what is held back will get no better."""
        self._bury_invalid()
        refusal = self._unproven.refusal
        if refusal is not None:
            self._end(Endings.refused(refusal.reason))
            return
        for call, verdict in self._unproven.give_up_all():
            self.give_up(call, verdict)

    def grant_last_try(self) -> bool:
        """In a long outage: let calls end that were spent before it, if there are no others."""
        return self._unproven.grant_last_try(self._retries.waiting())
