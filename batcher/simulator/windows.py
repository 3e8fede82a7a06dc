"""Rate limits that are counted in windows, as most gateways do, instead of refilled evenly.

A fixed window's counter starts anew at each multiple of its length, whenever the client came, or
where its age at the start is told, at that place. A sliding window is a log of what was admitted
within its length. Both are asked as a bucket is (:class:`batcher.simulator.limits.Bucket`); the
time comes in as a parameter.
"""

from __future__ import annotations

import math
from collections import deque

_EPSILON = 1e-6
"""Rounding that is forgiven: a client that waited exactly as told must be admitted."""


class FixedWindow:
    """A counter that starts anew at each multiple of `seconds`; it admits at least one unit."""

    __slots__ = ("_edge", "_start", "_used", "capacity", "per_minute", "seconds")

    def __init__(
        self, per_minute: float, seconds: float, now: float, age: float | None = None
    ) -> None:
        """Take `age` for how old the window is at `now`; None counts from the clock's start."""
        self.per_minute = per_minute
        self.seconds = seconds
        self._start = 0.0 if age is None else now - age
        self.capacity = _capacity(per_minute, seconds)
        self._used = 0.0
        self._edge = self._next_edge(now)

    def __repr__(self) -> str:
        return f"<FixedWindow {self._used:g} of {self.capacity:g} in {self.seconds:g} s>"

    def level(self, now: float) -> float:
        """Return what the window has left at `now`."""
        if now >= self._edge - _EPSILON:
            self._used = 0.0
            self._edge = self._next_edge(now + _EPSILON)
        return self.capacity - self._used

    def take(self, amount: float, now: float) -> None:
        """Count `amount`; a negative one is given back, as far as this window counted it."""
        self.level(now)
        self._used = max(0.0, self._used + amount)

    def wait_seconds(self, amount: float, now: float) -> float:
        """Return the time until the next window, where this one has not `amount` left."""
        return self._edge - now if amount > self.level(now) + _EPSILON else 0.0

    def change(self, per_minute: float, seconds: float, now: float) -> None:
        """Count in other windows from now on; what this one has counted stays counted."""
        self.level(now)
        self.per_minute, self.seconds = per_minute, seconds
        self.capacity = _capacity(per_minute, seconds)
        self._edge = self._next_edge(now)

    def remaining(self, now: float) -> int:
        """Return the whole units left, as a header tells them: never negative."""
        return max(0, math.floor(self.level(now) + _EPSILON))

    def full_in_seconds(self, now: float) -> float:
        """Return the time until the counter starts anew."""
        self.level(now)
        return self._edge - now

    def _next_edge(self, now: float) -> float:
        start = self._start
        return start + (math.floor((now - start) / self.seconds) + 1) * self.seconds


class SlidingWindow:
    """A log of what was admitted in the last `seconds`; it admits at least one unit."""

    __slots__ = ("_log", "_used", "capacity", "per_minute", "seconds")

    def __init__(
        self, per_minute: float, seconds: float, now: float, age: float | None = None
    ) -> None:
        del now, age
        self.per_minute = per_minute
        self.seconds = seconds
        self.capacity = _capacity(per_minute, seconds)
        self._log: deque[tuple[float, float]] = deque()
        self._used = 0.0

    def __repr__(self) -> str:
        return f"<SlidingWindow {self._used:g} of {self.capacity:g} in {self.seconds:g} s>"

    def level(self, now: float) -> float:
        """Return what the window has left at `now`."""
        while self._log and self._log[0][0] <= now - self.seconds + _EPSILON:
            self._used -= self._log.popleft()[1]
        if not self._log:
            self._used = 0.0
        return self.capacity - self._used

    def take(self, amount: float, now: float) -> None:
        """Log `amount`; a negative one is given back, out of what was logged last."""
        self.level(now)
        while amount < 0 and self._log:
            at, logged = self._log.pop()
            self._used -= logged
            amount += logged
            now = at
        if amount > 0:
            self._log.append((now, amount))
            self._used += amount

    def wait_seconds(self, amount: float, now: float) -> float:
        """Return the time until enough has left the window; 0 where it has `amount` left."""
        missing = amount - self.level(now)
        if missing <= _EPSILON:
            return 0.0
        for at, logged in self._log:
            missing -= logged
            if missing <= _EPSILON:
                return at + self.seconds - now
        return self.seconds

    def change(self, per_minute: float, seconds: float, now: float) -> None:
        """Look back over another window from now on; what is logged stays."""
        self.level(now)
        self.per_minute, self.seconds = per_minute, seconds
        self.capacity = _capacity(per_minute, seconds)
        self.level(now)

    def remaining(self, now: float) -> int:
        """Return the whole units left, as a header tells them: never negative."""
        return max(0, math.floor(self.level(now) + _EPSILON))

    def full_in_seconds(self, now: float) -> float:
        """Return the time until the oldest of the log leaves it."""
        self.level(now)
        return self._log[0][0] + self.seconds - now if self._log else 0.0


def _capacity(per_minute: float, seconds: float) -> float:
    return max(1.0, float(math.floor(per_minute / 60 * seconds + _EPSILON)))
