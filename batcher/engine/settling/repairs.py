"""What an answer does that was paid for and cannot be used: it is asked for again, or all stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batcher.core.failures.unusable import UnusableAnswers
from batcher.core.failures.verdicts import MAX_ATTEMPTS, MAX_REPAIRS, Backoff
from batcher.core.kind import Broken, Invalid
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.settling.accounts import Accounts
from batcher.engine.settling.failing.passing_failures import PassingFailures
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.settling.reading import all_invalid, none_usable
from batcher.engine.shards.call import Call

_WRONG_LENGTH = Backoff(
    "wrong_dimension", "the vector does not have as many dimensions as the others"
)


class Repairs:
    """Answers without a result, for one run."""

    def __init__(
        self,
        verdicts: Verdicts,
        passing: PassingFailures,
        accounts: Accounts,
        *,
        secrets: tuple[str, ...],
        end: Callable[[Ending], None],
    ) -> None:
        """``secrets`` are struck from messages; ``end`` stops the run."""
        self._verdicts = verdicts
        self._passing = passing
        self._accounts = accounts
        self._unusable = UnusableAnswers(had_result=verdicts.had_success)
        self._secrets = secrets
        self._end = end

    @property
    def had_result(self) -> bool:
        """Whether any answer of the job has given a result."""
        return self._unusable.had_result

    def note_result(self) -> None:
        """A result came: what was invalid before it was its rows' own fault."""
        self._unusable.result()
        self._verdicts.learn_of_result()

    def repair(self, calls: Sequence[tuple[Call, Invalid]]) -> None:
        """Have each piece of an answer that breaks its schema asked for again, alone."""
        if self._unusable.invalid():
            for call, _ in calls:
                self._verdicts.again(call)
            self._end(Endings.refused(all_invalid(calls[-1][1], self._secrets)))
            return
        for call, invalid in calls:
            if call.repairs < MAX_REPAIRS:
                call.repairs += 1
                call.repair = invalid
                self._accounts.hold_until_written(call)
                self._verdicts.again(call)
            elif self._unusable.had_result:
                piece = call.pieces[0]
                self._verdicts.bury_piece(call, piece, invalid.code, invalid.message)
            else:
                self._verdicts.hold_invalid(call, invalid)

    def ask_anew(self, call: Call, broken: Broken) -> None:
        """What was paid for holds nothing usable for these pieces: again, unless all will be so."""
        self._accounts.doubt(call, costs=False)
        if self._unusable.broken((call.shard.id, call.pieces[0]), whole=broken.whole):
            self._verdicts.again(call)
            self._end(Endings.refused(none_usable(broken.message)))
            return
        if call.tries >= MAX_ATTEMPTS - 1:
            call.others_succeeded = True  # it was answered each time: that is no outage
        self._passing.back_off(call, Backoff(broken.code, broken.message))

    def ask_for_vectors(self, call: Call) -> None:
        """The call's vectors were of a wrong length, and were taken back.

        A call that is in no worklist could be billed in a crash without anybody knowing of it, so
        that is said beforehand.
        """
        self._accounts.doubt(call, costs=False)
        if call.unit_index < 0:
            self._accounts.doubt(call)
        self._passing.back_off(call, _WRONG_LENGTH)
