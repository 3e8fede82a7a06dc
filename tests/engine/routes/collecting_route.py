"""A route whose answers come hours later: it gathers calls, submits a group, and collects it.

What it submits to is a provider of batches that keeps the answers as lines, in any order, each
with the id that its request had. Nothing of it stands in the package: a route is what keeps to
:class:`batcher.engine.routes.route.Route`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import Any

import pytest

from batcher.core.errors import KindFailed, TransportError
from batcher.core.failures.outage import Health
from batcher.core.failures.verdicts import SharedPause
from batcher.engine.job.endings import Endings
from batcher.engine.routes.route import AnswerTaker, RouteFigures, RouteNeeds, Sent
from batcher.engine.services import Connection
from batcher.engine.shards.call import Call
from batcher.ports import Reply
from batcher.wiring_providers import connect

_GROUPS_AT_ONCE = 4
_TRIES_THAT_EXPIRE = 2
EXPIRED = TransportError("timeout", "the batch expired", maybe_billed=False)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How groups are made, and when they are answered: after up to ``most_seconds``, in any order.

    Of ``expiring`` lines in a hundred nothing comes, though never too often for a row to fail by
    it. A group is submitted with ``size`` calls, or with fewer where no more have come for
    ``linger_seconds``.
    """

    size: int = 5
    most_seconds: float = 1800.0
    linger_seconds: float = 2.0
    expiring: int = 0
    seed: int = 0
    groups: list[int] = field(default_factory=list)
    """How many calls each group had, in the order of submission."""


class NoPace:
    """The feedback of a route that has no pace: it keeps what is known of the provider's health."""

    def __init__(self, health: Health) -> None:
        self.health = health

    async def observe(self, sent: Sent, reply: Reply, used_tokens: int | None) -> None:
        del sent, reply, used_tokens

    async def pause(self, sent: Sent, pause: SharedPause) -> float | None:
        del sent, pause
        return None

    def object_to(self, sent: Sent) -> None:
        del sent

    def succeed(self) -> None: ...

    def resume(self) -> None: ...

    def probe_failed(self) -> None: ...


class CollectingRoute:
    """One run's calls in groups (:class:`batcher.engine.routes.route.Route`)."""

    def __init__(self, needs: RouteNeeds, terms: Terms) -> None:
        self.feedback = NoPace(Health(answer_seconds=terms.most_seconds))
        self._needs = needs
        self._terms = terms
        self._gate = needs.gate
        self._clock = needs.services.clock
        self._chance = Random(terms.seed)
        self._numbers = count()
        self._gathered: dict[str, tuple[Sent, bytes, str]] = {}
        self._last_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._halted = False

    @property
    def figures(self) -> RouteFigures:
        return RouteFigures(in_flight=self._gate.in_flight, window=self._terms.size)

    @property
    def wanting(self) -> int:
        return 3 * self._terms.size - len(self._gate.queue)

    def open(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def run(self, answers: AnswerTaker, hungry: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            while not self._halted:
                now = self._clock.now()
                self._gate.move_due(now, behind=self.feedback.health.doubted)
                self._take_first()
                while self._gather_one(now):
                    if len(self._gathered) >= self._size(now):
                        self._submit(answers, group)
                if self._gathered and now - self._last_at >= self._terms.linger_seconds:
                    self._submit(answers, group)
                if self.wanting > 0:
                    hungry()
                await self._gate.queue.news(self._sleep_seconds(now))

    def halt(self) -> None:
        self._halted = True
        self._gate.queue.wake()

    async def drain(self, grace_seconds: float) -> None:
        """What was not submitted was never sent; what was is left, unless it comes in time."""
        self.halt()
        for sent, _, _ in self._gathered.values():
            self._gate.landed(sent.call)
        self._gate.queue.put_back([sent.call for sent, _, _ in self._gathered.values()])
        self._gathered.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- gathering ----------------------------------------------------------------------------

    def _sleep_seconds(self, now: float) -> float | None:
        due = self._gate.queue.next_due(now)
        waits = [] if due is None else [due - now]
        if self._gathered:
            waits.append(self._terms.linger_seconds)
        return min(waits, default=None)

    def _size(self, now: float) -> int:
        return 1 if self.feedback.health.is_probing(now) else self._terms.size

    def _take_first(self) -> None:
        queue = self._gate.queue
        if queue.first is not None and queue.first.after_flush <= self._gate.written:
            queue.take_first()

    def _gather_one(self, now: float) -> bool:
        """Take the next call that may go; False where there is none."""
        queue, gate = self._gate.queue, self._gate
        queue.drop_lost()
        probing = self.feedback.health.is_probing(now)
        if self._halted or not queue.ready or queue.first is not None or gate.is_blocked:
            return False
        if gate.in_flight >= (1 if probing else _GROUPS_AT_ONCE * self._terms.size):
            return False
        calls = gate.next(1)
        if not calls:
            return False
        (call,) = calls
        if not call.shard.allows(call):
            queue.put_back([call])
            gate.ask_to_write()
            return False
        self._gather(call, now)
        return True

    def _gather(self, call: Call, now: float) -> None:
        requests = self._needs.requests
        learned = requests.learning.learned
        try:
            body = requests.builder.body(call)
        except KindFailed as error:
            self._needs.end(Endings.kind_failed(str(error)))
            self._gate.queue.put_back([call])
            return
        shard = call.shard
        custom_id = f"{shard.id}-{shard.fence}-{call.unit_index}-{next(self._numbers)}"
        call.start(now)
        self._gate.sent(call)
        self._needs.name(call)
        sent = Sent(call, now, learned, custom_id)
        self._gathered[custom_id] = (sent, body, self._needs.keys.of(call, learned))
        self._last_at = now

    # --- submitting and collecting ------------------------------------------------------------

    def _submit(self, answers: AnswerTaker, group: asyncio.TaskGroup) -> None:
        gathered, self._gathered = self._gathered, {}
        self._terms.groups.append(len(gathered))
        task = group.create_task(self._collect(gathered, answers), name="group")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _collect(
        self, gathered: dict[str, tuple[Sent, bytes, str]], answers: AnswerTaker
    ) -> None:
        """Have a group answered, wait, and hand over what came of it by the ids of its lines."""
        open_ids = {custom_id: sent for custom_id, (sent, _, _) in gathered.items()}
        try:
            lines = await asyncio.gather(
                *(self._line(custom_id, *one) for custom_id, one in gathered.items())
            )
            await self._clock.sleep(self._chance.uniform(0.0, self._terms.most_seconds))
            self._chance.shuffle(lines)
            for line in lines:
                answer = json.loads(line)
                sent = open_ids[answer["custom_id"]]
                try:
                    await self._hand_over(sent, answer, answers)
                except KindFailed as error:
                    self._needs.end(Endings.kind_failed(str(error)))
                del open_ids[answer["custom_id"]]
                self._gate.landed(sent.call)
        finally:
            for sent in open_ids.values():
                answers.leave(sent.call)
                self._gate.landed(sent.call)

    async def _line(self, custom_id: str, sent: Sent, body: bytes, key: str) -> str:
        """What the provider keeps of one request, as a line of JSON."""
        expires = self._chance.randrange(100) < self._terms.expiring
        if expires and sent.call.tries < _TRIES_THAT_EXPIRE:
            return json.dumps({"custom_id": custom_id, "expired": True})
        path, name = self._needs.requests.builder.path, sent.call.request_id
        try:
            reply = await self._needs.connection.provider.post(path, body, name, key=key)
        except TransportError as error:
            lost: dict[str, Any] = {"code": error.code, "maybe_billed": error.maybe_billed}
            return json.dumps({"custom_id": custom_id, "lost": lost})
        answer = {
            "status": reply.status,
            "headers": dict(reply.headers),
            "body": base64.b64encode(reply.body).decode(),
        }
        return json.dumps({"custom_id": custom_id, "answer": answer})

    async def _hand_over(self, sent: Sent, line: dict[str, Any], answers: AnswerTaker) -> None:
        if "answer" in line:
            answer = line["answer"]
            body = base64.b64decode(answer["body"])
            await answers.answered(sent, Reply(answer["status"], answer["headers"], body))
        elif "lost" in line:
            await answers.lost(sent, TransportError(message="no answer", **line["lost"]))
        else:
            await answers.lost(sent, EXPIRED)


@contextmanager
def collecting(terms: Terms) -> Iterator[Terms]:
    """Runners opened within send their calls in groups."""

    @asynccontextmanager
    async def collecting_connect(*args: Any, **kwargs: Any) -> AsyncIterator[Connection]:
        async with connect(*args, **kwargs) as connection:
            yield replace(connection, make_route=lambda needs: CollectingRoute(needs, terms))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batcher.wiring.connect", collecting_connect)
        yield terms
