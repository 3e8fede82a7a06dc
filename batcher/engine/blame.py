"""Whose fault a failure is: calls held back until a success elsewhere proves that it is theirs.

Two kinds wait here. A *suspect* was refused for its content before anything had succeeded: perhaps
every request is wrong. A call is *spent* that failed its six times, the last of them while nobody
else succeeded either: perhaps the provider is out.
"""

from __future__ import annotations

from collections.abc import Iterable

from batcher.core.retry import MAX_ATTEMPTS, Dead, Split
from batcher.engine.shard import Call

_STREAK = 10

Charge = tuple[Call, Dead | Split]


class Blame:
    """The calls held back, and what is known of the provider."""

    def __init__(self, *, had_success: bool) -> None:
        """``had_success`` is whether any request of the job has succeeded before."""
        self.had_success = had_success
        self.last_try = False
        self._suspects: list[tuple[Call, Dead]] = []
        self._spent: list[Charge] = []

    def __bool__(self) -> bool:
        """Whether any call is held back."""
        return bool(self._suspects or self._spent)

    @property
    def wants_success(self) -> bool:
        """Whether a success would change anything."""
        return bool(self) or self.last_try or not self.had_success

    def suspect(self, call: Call, dead: Dead) -> bool:
        """Hold a call back; returns whether so many failed alike that all requests would."""
        self._suspects.append((call, dead))
        return sum(other.code == dead.code for _, other in self._suspects) >= _STREAK

    def spend(self, call: Call, verdict: Dead | Split) -> bool:
        """Hold a call back, or refuse where so many are held that it cannot be their fault."""
        if len(self._spent) >= _STREAK - 1:
            return False
        self._spent.append((call, verdict))
        return True

    def succeeded(self) -> tuple[list[Charge], list[Call]]:
        """A success came: which calls are guilty by that, and which are to be tried again."""
        self.had_success = True
        self.last_try = False
        guilty: list[Charge] = list(self._suspects)
        again = [call for call, _ in self._spent]
        self.forget()
        return guilty, again

    def condemn(self) -> list[Charge]:
        """Nothing else is left to be tried: what is held back will get no better."""
        guilty: list[Charge] = [*self._suspects, *self._spent]
        self.forget()
        for call, _ in guilty:
            call.attempts = call.tries
        return guilty

    def forget(self) -> None:
        """Let them be; whoever goes on with the job tries them again."""
        self._suspects.clear()
        self._spent.clear()

    def grant_last_try(self, waiting: Iterable[Call]) -> bool:
        """In a long outage: whether all that wait were spent before; then they get one more try.

        Otherwise a job whose last rows fail always, and are many, would never end.
        """
        self.last_try = all(
            call.others_succeeded and call.tries >= MAX_ATTEMPTS for call in waiting
        )
        return self.last_try
