"""Operations on one quota, in order, as many in one call of the script as have gathered meanwhile.

One call is under way at a time. So a round trip costs each operation at most two of them and limits
nothing: what comes in during one goes with the next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from redis.exceptions import RedisError, ResponseError

from batcher.adapters.throttle.wire import Operation
from batcher.ports import Clock

MOST_ITEMS = 512
"""In one call: Redis does nothing else meanwhile, for some milliseconds at the most."""
TELL_SECONDS = 1.0
"""How long the answer to what need not get there is waited for."""
FIRST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 2.0

Call = Callable[[Sequence[Operation]], Awaitable[list[bytes]]]
"""Does operations, and returns an answer for each."""
Answer = asyncio.Future[bytes | None]
"""The answer to an operation; None where the connection was lost."""


class _Item(NamedTuple):
    operation: Operation
    answer: Answer | None
    must: bool


class Conveyor:
    """Brings operations to Redis, and again after a lost connection, if they must get there."""

    def __init__(self, call: Call, clock: Clock) -> None:
        """``call`` raises RedisError or OSError where Redis is not reached."""
        self._call = call
        self._clock = clock
        self._items: deque[_Item] = deque()
        self._filled = asyncio.Event()
        self._under_way: frozenset[Answer] = frozenset()
        self._awaited: deque[tuple[float, Answer]] = deque()
        self.connected = True

    def put(self, operation: Operation, *, must: bool) -> Answer:
        """Do it next; nothing is done any more whose answer was cancelled.

        What ``must`` get there is done again after a lost connection, perhaps twice therefore; of
        anything else the answer is None then, or when it takes long.
        """
        loop = asyncio.get_running_loop()
        answer: Answer = loop.create_future()
        if not must:
            if not self._awaited:
                loop.call_later(TELL_SECONDS, self._give_up)
            self._awaited.append((loop.time(), answer))
        self._items.append(_Item(operation, answer, must))
        self._filled.set()
        return answer

    def tell(self, operation: Operation) -> None:
        """Do it next, if Redis is there, and let nobody wait for it: it is one of very many."""
        self._items.append(_Item(operation, None, must=False))
        self._filled.set()

    def abandon(self, answer: Answer, undo: Callable[[Answer], object]) -> None:
        """Nobody waits any more: do not do it, or undo it if it is being done."""
        if answer in self._under_way:
            answer.add_done_callback(undo)
        else:
            answer.cancel()

    async def run(self) -> None:
        """Work until cancelled."""
        wait = FIRST_WAIT_SECONDS
        while True:
            await self._filled.wait()
            batch = self._take()
            if not batch:
                self._filled.clear()
                continue
            self._under_way = frozenset(item.answer for item in batch if item.answer is not None)
            try:
                answers = await self._call([item.operation for item in batch])
            except (RedisError, OSError) as error:
                self._under_way = frozenset()
                if _is_our_mistake(error):
                    _fail(batch, error)
                    continue
                self.connected = False
                self._put_back(batch)
                await self._clock.sleep(wait)
                wait = min(LONGEST_WAIT_SECONDS, 2 * wait)
            except Exception as error:  # noqa: BLE001 - whoever waits for it is to hear of it
                self._under_way = frozenset()
                _fail(batch, error)
            else:
                self._under_way = frozenset()
                self.connected, wait = True, FIRST_WAIT_SECONDS
                for item, answer in zip(batch, answers, strict=True):
                    if item.answer is not None and not item.answer.done():
                        item.answer.set_result(answer)

    def _give_up(self) -> None:
        """Answer what nobody should wait for any longer; one timer for all, since they are many."""
        loop = asyncio.get_running_loop()
        awaited, until = self._awaited, loop.time() - TELL_SECONDS
        while awaited and (awaited[0][0] <= until or awaited[0][1].done()):
            _, answer = awaited.popleft()
            if not answer.done():
                answer.set_result(None)
        if awaited:
            loop.call_at(awaited[0][0] + TELL_SECONDS, self._give_up)

    def _take(self) -> list[_Item]:
        """The next items, without those that somebody waited for and does no longer."""
        batch: list[_Item] = []
        while self._items and len(batch) < MOST_ITEMS:
            item = self._items.popleft()
            if item.answer is None or not item.answer.done():
                batch.append(item)
        return batch

    def _put_back(self, batch: Sequence[_Item]) -> None:
        """Keep what must get there, in its order; the rest is dropped."""
        for item in reversed(batch):
            if item.must:
                self._items.appendleft(item)
            elif item.answer is not None and not item.answer.done():
                item.answer.set_result(None)


def _is_our_mistake(error: Exception) -> bool:
    """Whether the script itself is wrong: it would be no better the next time."""
    return isinstance(error, ResponseError) and "user_script" in str(error)


def _fail(batch: Sequence[_Item], error: Exception) -> None:
    for item in batch:
        if item.answer is not None and not item.answer.done():
            item.answer.set_exception(error)
