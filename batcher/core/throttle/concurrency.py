"""How many requests may be in flight: all that is wanted where a limit is known, else by trial.

Decides a number, from what answers say; it knows no time and holds no requests. Where the throttle
knows a limit it alone spaces the requests, and the window is only the user's maximum. Where nothing
is known the window itself is the limit: it doubles per round trip until the provider objects, and
then grows by one per window of successes (TCP's slow start and AIMD).
"""

from __future__ import annotations

DECREASE = 0.75
"""What an epoch's first objection leaves of the window."""


class ConcurrencyWindow:
    """The number of requests that may be in flight at once for one quota."""

    __slots__ = ("_answered", "_known", "_maximum", "_slow_start", "_window", "epoch")

    epoch: int
    """How often it has been lowered; read it when a request is sent."""

    def __init__(self, maximum: int, initial: int = 1) -> None:
        """``initial`` is where trial begins after the first answer; until then it is one.

        Raises:
            ValueError: not 1 <= initial <= maximum.
        """
        if not 1 <= initial <= maximum:
            raise ValueError(f"a window of {initial} does not fit between 1 and {maximum}")
        self._maximum = maximum
        self._window = float(initial)
        self._answered = False
        self._known = False
        self._slow_start = True
        self.epoch = 0

    def __repr__(self) -> str:
        """The size and its maximum."""
        return f"<ConcurrencyWindow {self.size} of {self._maximum}>"

    @property
    def size(self) -> int:
        """How many requests may be in flight now, at least 1."""
        if not self._answered:
            return 1
        return self._maximum if self._known else int(self._window)

    @property
    def maximum(self) -> int:
        """The most that it may ever be."""
        return self._maximum

    def succeeded(self, *, limits_known: bool) -> None:
        """An answer came that is no objection; ``limits_known`` from headers or flags."""
        self._answered = True
        self._known = limits_known
        step = 1.0 if self._slow_start else 1.0 / self._window
        self._window = min(float(self._maximum), self._window + step)

    def objected(self, epoch: int, *, limits_known: bool) -> None:
        """A 429 or an overload came for a request that was sent in this :attr:`epoch`.

        Only the first of an epoch counts, and begins the next: those that were in flight with it
        say nothing new. (Not the throttle's epoch: an overload pauses nobody.)
        """
        self._known = limits_known
        self._slow_start = False
        if epoch == self.epoch:
            self.epoch += 1
            self._window = max(1.0, self._window * DECREASE)
