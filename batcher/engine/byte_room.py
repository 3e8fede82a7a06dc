"""Memory for answers and results: bytes that a process holds between the wire and the disk.

Answers take it while they are read, as large as they are; results keep it until they are written.
How many requests are in flight does not matter to it: what is not read yet waits in the network.
"""

from __future__ import annotations

import asyncio
from collections import deque

MOST_BYTES = 24_000_000
PATIENCE_SECONDS = 5.0
"""How long an answer waits for results to be written: a database that is away must lose none."""


class ByteRoom:
    """So many bytes for all answers and results of a process (:class:`batcher.ports.AnswerRoom`).

    One answer, the one that has held some of it for the longest, may always go on, and what it may
    take is for its own ceiling to say. Where results take all, one answer at a time goes on when it
    has waited for a while. So nobody waits for ever.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._held: dict[str, int] = {}
        self._used = 0
        self._kept = 0
        self._waiting: deque[tuple[str, int, asyncio.Future[None]]] = deque()

    def __repr__(self) -> str:
        """What is used of it."""
        return f"<ByteRoom {self._used:,} of {self._most:,} bytes, {len(self._waiting)} wait>"

    @property
    def used_bytes(self) -> int:
        """What answers and results take now."""
        return self._used

    @property
    def is_full(self) -> bool:
        """Whether more requests would only wait."""
        return self._used >= self._most

    async def grow(self, request_id: str, size_bytes: int) -> None:
        """See :meth:`batcher.ports.AnswerRoom.grow`."""
        others = request_id not in self._held and bool(self._waiting)
        if not others and self._fits(request_id, size_bytes):
            self._hold(request_id, size_bytes)
            return
        while not await self._turn(request_id, size_bytes):
            if not self._held or self._fits(request_id, size_bytes):
                self._hold(request_id, size_bytes)
                return

    def shrink(self, request_id: str, size_bytes: int) -> None:
        """So many bytes of what the request holds are not needed any more."""
        if request_id in self._held:
            self._held[request_id] -= size_bytes
            self._used -= size_bytes
            self._admit()

    def release(self, request_id: str) -> None:
        """The answer to the request is dealt with, or will not come."""
        held = self._held.pop(request_id, None)
        if held is not None:
            self._used -= held
            self._admit()

    def keep(self, size_bytes: int) -> None:
        """Results of this size wait to be written."""
        self._used += size_bytes
        self._kept += size_bytes

    def wrote(self, size_bytes: int) -> None:
        """They are written, or will not be."""
        self._used -= size_bytes
        self._kept -= size_bytes
        if self._waiting:
            self._admit()

    async def _turn(self, request_id: str, size_bytes: int) -> bool:
        """Wait to be let go on; False where that takes too long."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (request_id, size_bytes, turn)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await turn
        except (TimeoutError, asyncio.CancelledError) as end:
            if turn.done() and not turn.cancelled():  # it was let go on at the same moment
                if isinstance(end, TimeoutError):
                    return True
                self.release(request_id)
                raise
            self._waiting.remove(entry)
            self._admit()
            if isinstance(end, TimeoutError):
                return False
            raise
        return True

    def _fits(self, request_id: str, size_bytes: int) -> bool:
        if self._used + size_bytes <= self._most:
            return True
        if self._held:
            return next(iter(self._held)) == request_id
        return not self._kept

    def _hold(self, request_id: str, size_bytes: int) -> None:
        self._held[request_id] = self._held.get(request_id, 0) + size_bytes
        self._used += size_bytes

    def _admit(self) -> None:
        """Let go on who may, in the order in which they came; who holds some goes before others."""
        passed: deque[tuple[str, int, asyncio.Future[None]]] = deque()
        blocked = False
        while self._waiting:
            request_id, size_bytes, turn = entry = self._waiting.popleft()
            holds = request_id in self._held
            if turn.done():
                passed.append(entry)  # whoever waited has gone, and will take it away
            elif (holds or not blocked) and self._fits(request_id, size_bytes):
                self._hold(request_id, size_bytes)
                turn.set_result(None)
            else:
                blocked = blocked or not holds
                passed.append(entry)
        self._waiting = passed
