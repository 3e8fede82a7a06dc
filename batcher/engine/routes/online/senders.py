"""The requests of one run that are on the wire: each from its body to what its answer means.

A sender is a task that sends one request after the other. It is handed the next one by the pump and
waits until then: so all answers that came in together are settled in one go, and the next requests
leave in one go. Senders that took the next call for themselves, and never waited, were 8% slower.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from batcher.core.errors import KindFailed, NotAllowed, TransportError
from batcher.core.model import Learned
from batcher.core.throttle.bucket import Ticket
from batcher.engine.byte_room import ByteRoom
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.requests.attached import PiecesUnsendable
from batcher.engine.requests.builder import AnswerSize, Learning, RequestBuilder
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.routes.online.dispatcher import Dispatcher
from batcher.engine.routes.online.pace import Pace
from batcher.engine.routes.route import AnswerTaker, Sent
from batcher.engine.shards.call import Call
from batcher.ports import JSON_TYPE, Provider, Reply


class Exchange:
    """One request and its answer: the call's body out, the reply back."""

    def __init__(
        self,
        provider: Provider,
        builder: RequestBuilder,
        *,
        learning: Learning,
        answer_size: AnswerSize,
        keys: IdempotencyKeys,
        room: ByteRoom,
    ) -> None:
        """``room`` is the memory for answers."""
        self._provider = provider
        self._builder = builder
        self._learning = learning
        self._answer_size = answer_size
        self._keys = keys
        self._room = room

    @property
    def learned(self) -> Learned:
        """What is known by now of how the provider wants requests."""
        return self._learning.learned

    async def post(self, call: Call, name: str) -> Reply:
        """The answer to the call, in memory until :meth:`release`.

        Raises:
            TransportError: no whole answer came.
            KindFailed: the kind makes no body.
            PiecesUnsendable: nothing was sent, since some pieces cannot be.
            NotAllowed: nothing was sent, since a file may not be read here.
        """
        builder, content_type = self._builder, JSON_TYPE
        if builder.attached is None:
            body = builder.body(call)
        else:
            body, content_type = await builder.attached.body(call, name, self._room)
        return await self._provider.post(
            builder.path,
            body,
            name,
            key=self._keys.of(call, self._learning.learned),
            most_bytes=self._answer_size.most_bytes(call),
            room=self._room,
            content_type=content_type,
        )

    def release(self, name: str) -> None:
        """The answer to that request is dealt with, or will not come."""
        self._room.release(name)


class Senders:
    """The senders of one run."""

    def __init__(
        self,
        exchange: Exchange,
        pace: Pace,
        dispatcher: Dispatcher,
        *,
        name: Callable[[Call], str],
        end: Callable[[Ending], None],
    ) -> None:
        """``name`` gives a request an id of its own; ``end`` stops the run."""
        self._name = name
        self._exchange = exchange
        self._pace = pace
        self._dispatcher = dispatcher
        self._end = end
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[Sent | None]] = []

    def start(
        self, call: Call, ticket: Ticket, answers: AnswerTaker, group: asyncio.TaskGroup
    ) -> None:
        """Send a call, by a sender that is idle or by a new one in the group.

        ``answers`` gets what comes back; it is the same for all calls.
        """
        sent = self._pace.begin(call, ticket, self._exchange.learned)
        if self._idle:
            self._idle.pop().set_result(sent)
            return
        task = group.create_task(self._work(sent, answers), name="sender")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wind_down(self, grace_seconds: float) -> None:
        """Let what is in flight end; cancel what has not within the grace time.

        The dispatcher has been stopped before: nothing is started any more.
        """
        self._closing = True
        for idle in self._idle:
            idle.set_result(None)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _work(self, sent: Sent | None, answers: AnswerTaker) -> None:
        loop = asyncio.get_running_loop()
        following: asyncio.Future[Sent | None] | None = None
        while sent is not None:
            await self._attempt(sent, answers)
            sent = following = None  # one that waits must keep no shard alive
            if self._closing:
                return
            self._idle.append(following := loop.create_future())
            sent = await following

    async def _attempt(self, sent: Sent, answers: AnswerTaker) -> None:
        """One request; once begun, its call is landed whatever becomes of it."""
        name = self._name(sent.call)
        try:
            await answers.answered(sent, await self._exchange.post(sent.call, name))
        except TransportError as error:
            await answers.lost(sent, error)
        except KindFailed as error:
            self._end(Endings.kind_failed(str(error)))
        except PiecesUnsendable as error:
            answers.unsendable(sent.call, error.failed)
        except NotAllowed as error:
            self._end(Endings.not_allowed(error))
        except asyncio.CancelledError:
            answers.leave(sent.call)
            raise
        finally:
            self._exchange.release(name)
            self._dispatcher.landed(sent.call)
