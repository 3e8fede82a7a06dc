"""Time that passes when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

EPOCH_WALL = 1_700_000_000.0


class FakeClock:
    """A clock that stands still until :meth:`advance` (:class:`batcher.ports.Clock`).

    Sleepers wake in the order of their time, those of one time in the order they fell asleep, and
    each runs as far as it gets before the next one wakes.
    """

    def __init__(self, now: float = 1000.0, wall: float = EPOCH_WALL) -> None:
        self._now = now
        self._wall = wall
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0
        self._watchers: list[Callable[[float], None]] = []

    def __repr__(self) -> str:
        return f"<FakeClock {self._now:g}, {self.sleeping} sleeping>"

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def watch(self, watcher: Callable[[float], None]) -> None:
        """Tell ``watcher`` the wall's time whenever it is moved."""
        self._watchers.append(watcher)

    @property
    def sleeping(self) -> int:
        """How many sleepers there are."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, self._count, future))
        await future

    def set(self, now: float) -> None:
        """Move the time without waking anybody, for tests without sleepers."""
        self._wall += now - self._now
        self._now = now
        for watcher in self._watchers:
            watcher(self._wall)

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking every sleeper whose time comes, those that fall asleep included."""
        until = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            when, _, future = heapq.heappop(self._sleepers)
            self.set(max(self._now, when))
            if not future.done():
                future.set_result(None)
                await self._settle()
        self.set(until)
        await self._settle()

    @staticmethod
    async def _settle() -> None:
        """Let every task run until it waits again."""
        for _ in range(50):
            await asyncio.sleep(0)
