"""Real time."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """The machine's clocks and the event loop's sleep (:class:`batcher.ports.Clock`)."""

    def __repr__(self) -> str:
        return "<SystemClock>"

    def now(self) -> float:
        """Seconds on a monotonic clock."""
        return time.monotonic()

    def wall(self) -> float:
        """Unix time in seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See :class:`batcher.ports.Clock`."""
        await asyncio.sleep(seconds)
