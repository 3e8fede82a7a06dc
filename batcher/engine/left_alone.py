"""What a process leaves alone for a while, since it may not do it, or has failed at it."""

from __future__ import annotations

from batcher.ports import Clock


class LeftAlone:
    """Names of jobs, orders and deliveries, each with the time until which it is left to others."""

    def __init__(self, clock: Clock) -> None:
        """``clock`` is what the time goes by."""
        self._clock = clock
        self._until: dict[str, float] = {}

    def __repr__(self) -> str:
        """How many there are, those too whose time is over and that nobody has asked for since."""
        return f"<LeftAlone {len(self._until)}>"

    def __contains__(self, name: str) -> bool:
        """Whether it is left alone still; at the time until which it was, it is not."""
        if self._clock.now() < self._until.get(name, 0.0):
            return True
        self._until.pop(name, None)
        return False

    def add(self, name: str, seconds: float) -> None:
        """Leave it alone for so long from now on."""
        self._until[name] = self._clock.now() + seconds
