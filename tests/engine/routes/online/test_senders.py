"""Senders: used again and again, and nothing of what they sent stays with them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

from batcher.core.kind import Shape
from batcher.core.model import Learned
from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.engine.byte_room import ByteRoom
from batcher.engine.requests.builder import AnswerSize, Learning
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.requests.output_limits import OutputLimits
from batcher.engine.routes.online.senders import Exchange, Senders
from batcher.engine.routes.route import Sent
from batcher.ports import Reply

TICKET = Ticket(0.0, 0, TokenDemand(1), 1.0, 1.0)


class Sending:
    """Senders whose provider answers when it is told to; what they touch besides is counted."""

    def __init__(self) -> None:
        self.asked = 0
        self.landed = 0
        self.answered = 0
        self.in_doubt = 0
        self.answers = asyncio.Event()
        whatever: Any = SimpleNamespace
        learning = Learning(Learned())
        exchange = Exchange(
            whatever(post=self._post),
            whatever(path="/x", body=lambda call: b"{}", attached=None),
            learning=learning,
            answer_size=AnswerSize(
                Shape.JSON, learning, limits=OutputLimits(1), parameters={}, most_bytes=None
            ),
            keys=IdempotencyKeys(None),
            room=ByteRoom(),
        )
        self.taker: Any = whatever(answered=self._answer, leave=self._doubt)
        self.senders = Senders(
            exchange,
            whatever(begin=lambda call, ticket, learned: Sent(call, 0.0, learned, ticket)),
            whatever(landed=self._land),
            name=lambda call: "r-1",
            end=lambda ending: None,
        )

    def start(self, group: asyncio.TaskGroup) -> weakref.ref[Any]:
        """Send a call of a shard of its own; returns a way to see whether that is still alive."""

        class Call:
            def __init__(self) -> None:
                self.shard = Shard()

        class Shard:
            pass

        call: Any = Call()
        self.senders.start(call, TICKET, self.taker, group)
        return weakref.ref(call.shard)

    async def _post(self, path: str, body: bytes, name: str, **more: Any) -> Reply:
        del path, body, name, more
        self.asked += 1
        await self.answers.wait()
        return Reply(200, {}, b"{}")

    async def _answer(self, sent: Sent, reply: Reply) -> None:
        del sent, reply
        self.answered += 1

    def _land(self, call: object) -> None:
        del call
        self.landed += 1

    def _doubt(self, call: object) -> None:
        del call
        self.in_doubt += 1


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_that_waits_is_used_again_and_keeps_no_shard_alive() -> None:
    sending = Sending()
    sending.answers.set()
    async with asyncio.TaskGroup() as group:
        shards = [sending.start(group) for _ in range(5)]
        await settle()
        tasks = len(asyncio.all_tasks())
        shards += [sending.start(group) for _ in range(3)]
        await settle()
        assert len(asyncio.all_tasks()) == tasks
        gc.collect()
        assert [shard() for shard in shards] == [None] * 8
        await sending.senders.wind_down(1.0)
    assert (sending.asked, sending.answered, sending.landed) == (8, 8, 8)


async def test_winding_down_ends_those_that_wait_and_lets_the_others_answer() -> None:
    sending = Sending()
    async with asyncio.TaskGroup() as group:
        sending.answers.set()
        sending.start(group)
        await settle()
        sending.answers.clear()
        sending.start(group)
        sending.start(group)
        asyncio.get_running_loop().call_later(0.01, sending.answers.set)
        await sending.senders.wind_down(5.0)
    assert (sending.answered, sending.landed, sending.in_doubt) == (3, 3, 0)


async def test_what_is_not_answered_in_time_is_cancelled_and_in_doubt() -> None:
    sending = Sending()
    async with asyncio.TaskGroup() as group:
        sending.start(group)
        await settle()
        await sending.senders.wind_down(0.01)
    assert (sending.answered, sending.landed, sending.in_doubt) == (0, 1, 1)
