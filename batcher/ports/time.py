"""Time, as a parameter."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, as a parameter."""

    def now(self) -> float:
        """Seconds on a monotonic clock."""
        ...

    def wall(self) -> float:
        """Unix time in seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` (at once where not positive, but yielding)."""
        ...
