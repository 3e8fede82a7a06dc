"""Waiting for news or for a time, whichever is first: the one place where the engine waits."""

from __future__ import annotations

import asyncio


class Wakeup:
    """An event that is consumed by its waiter, with a time limit that costs one timer."""

    def __init__(self) -> None:
        """Not set."""
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the waiter, now or when it next waits."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> None:
        """Return once set, or after ``seconds`` (None: never); then it is not set any more."""
        if seconds is None:
            await self._event.wait()
        elif seconds > 0 and not self._event.is_set():
            timer = asyncio.get_running_loop().call_later(seconds, self._event.set)
            try:
                await self._event.wait()
            finally:
                timer.cancel()
        self._event.clear()
