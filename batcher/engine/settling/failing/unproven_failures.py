"""Failures held back until a success elsewhere proves that they are the calls' own.

Three kinds wait here. The content of some was *rejected* before anything had succeeded: perhaps
every request is wrong. Some were *refused* by their status before that: perhaps the key, the model
or the address is wrong. And some are *spent*: they failed six times, the last of them while nobody
else succeeded either, so perhaps the provider is out.
"""

from __future__ import annotations

from collections.abc import Iterable

from batcher.core.failures.outage import ALIKE, ALIKE_UNSIGNED, PROBES, PROBES_AMONG_OTHERS
from batcher.core.failures.verdicts import MAX_ATTEMPTS, Backoff, Dead, Refusal, Split
from batcher.engine.shards.call import Call

_STREAK = 10

Failure = tuple[Call, Dead | Split]


class UnprovenFailures:
    """The calls held back, and what is known of the provider."""

    def __init__(self, *, had_success: bool) -> None:
        """``had_success`` is whether any request of the job has succeeded before."""
        self.had_success = had_success
        self.last_try = False
        self._rejected: list[tuple[Call, Dead]] = []
        self._refused: list[tuple[Call, Refusal]] = []
        self._spent: list[Failure] = []

    def __bool__(self) -> bool:
        """Whether any call is held back."""
        return bool(self._rejected or self._refused or self._spent)

    @property
    def wants_success(self) -> bool:
        """Whether a success would change anything."""
        return bool(self) or self.last_try or not self.had_success

    @property
    def refusal(self) -> Refusal | None:
        """One of the refusals that calls are held back for, None where there are none."""
        return self._refused[0][1] if self._refused else None

    def hold_rejected(self, call: Call, dead: Dead) -> bool:
        """Hold a call back; returns whether so many failed alike that all requests would."""
        self._rejected.append((call, dead))
        return sum(other.code == dead.code for _, other in self._rejected) >= _STREAK

    def hold_refused(self, call: Call, refusal: Refusal) -> None:
        """Hold a call back that is to be tried again once another succeeds."""
        self._refused.append((call, refusal))

    def hold_spent(self, call: Call, verdict: Dead | Split) -> bool:
        """Hold a call back, or refuse where so many are held that it cannot be their fault."""
        if len(self._spent) >= _STREAK - 1:
            return False
        self._spent.append((call, verdict))
        return True

    def succeeded(self) -> tuple[list[Failure], list[Call]]:
        """A success came: which calls failed by their own fault, and which to try again."""
        self.had_success = True
        self.last_try = False
        own: list[Failure] = list(self._rejected)
        again = [call for call, _ in (*self._spent, *self._refused)]
        self.forget()
        return own, again

    def give_up_all(self) -> list[Failure]:
        """Nothing else is left to be tried: what is held back will get no better."""
        given_up: list[Failure] = [*self._rejected, *self._spent]
        self.forget()
        for call, _ in given_up:
            call.attempts = call.tries
        return given_up

    def forget(self) -> None:
        """Let them be; whoever goes on with the job tries them again."""
        self._rejected.clear()
        self._refused.clear()
        self._spent.clear()

    def grant_last_try(self, waiting: Iterable[Call]) -> bool:
        """In a long outage: whether all that wait were spent before; then they get one more try.

        Otherwise a job whose last rows fail always, and are many, would never end.
        """
        self.last_try = all(
            call.others_succeeded and call.tries >= MAX_ATTEMPTS for call in waiting
        )
        return self.last_try


def told(failure: Backoff) -> str:
    """A failure in a few words: its code, and what was said where that is more."""
    if failure.code == "connect":
        return failure.message
    says_more = failure.message and not failure.message.startswith("HTTP ")
    return f"{failure.code}: {failure.message}" if says_more else failure.code


def proof_needed(refusal: Refusal, *, had_success: bool) -> tuple[int, int]:
    """How many requests refused alike make a doubt about all, and how many probes remove it."""
    if not had_success:
        return (1 if refusal.named else ALIKE), PROBES
    if refusal.unsigned:
        return ALIKE_UNSIGNED, PROBES
    return ALIKE, PROBES if refusal.named else PROBES_AMONG_OTHERS
