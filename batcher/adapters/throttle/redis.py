"""The throttle that many processes share: its state is in Redis, its arithmetic in `quota.lua`.

Redis holds counts and times under the hash of a quota's name, nothing else. What may do no I/O is
answered from memory: every answer of the script says the epoch, and a channel tells it to those who
sleep. A quota of which Redis knows nothing, or nothing any more, lets one request out to learn.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.exceptions import RedisError

from batcher.adapters.throttle import wire
from batcher.adapters.throttle.ceilings import Ceilings
from batcher.adapters.throttle.conveyor import TELL_SECONDS, Answer, Conveyor
from batcher.adapters.throttle.timing import ServerClock
from batcher.core.errors import UsageError
from batcher.core.throttle.bucket import Limits
from batcher.core.throttle.sharing import ANYBODY, Flow
from batcher.core.throttle.snapshot import show_limits
from batcher.ports import Clock, Grant

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

    from batcher.core.throttle.bucket import Ticket, TokenDemand
    from batcher.core.throttle.observation import Observation

PARTS = ("bucket", "refusals", "sharing", "windows", "quota", "operations", "script")
PREFIX = "batcher:throttle:"
NEWS = ":news"
KEEP_SECONDS = 6 * 3600
"""How long Redis keeps the state of a quota that nobody asks for."""
ANSWER_SECONDS = 5.0
"""How long a call of the script is waited for."""
LISTEN_SECONDS = 10.0
"""How often it is asked whether the channel is still there."""
RETRY_SECONDS = 1.0


def read_script() -> str:
    """The script, put together."""
    folder = files("batcher.adapters.throttle").joinpath("lua")
    return "\n".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in PARTS)


class _Quota:
    """One quota as this process knows it."""

    def __init__(self, name: str) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        # What is between the braces decides on which node of a cluster it is.
        self.key = f"{PREFIX}{{{digest}}}"
        self.channel = f"{self.key}{NEWS}"
        self.clock = ServerClock()
        self.figures: wire.Figures | None = None
        self.epoch = 0
        self.paused_until = 0.0  # the server's
        self.heard_at = 0.0  # likewise
        self.conveyor: Conveyor | None = None

    def hear(self, news: wire.News | wire.Figures) -> None:
        """An epoch and a pause; what is older than what was heard already changes nothing."""
        if news.now >= self.heard_at:
            self.epoch, self.paused_until = news.epoch, news.paused_until
            self.heard_at = news.now


class RedisThrottle:
    """Limits shared through Redis (:class:`batcher.ports.Throttle`); see :func:`open_throttle`."""

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        *,
        script_time: Callable[[], float] | None = None,
    ) -> None:
        """The script takes the server's time, unless it is handed one: for tests."""
        self._redis = redis
        self._clock = clock
        self._worker = secrets.token_hex(4)
        self._tasks: list[asyncio.Task[None]] = []
        self._script_time = script_time
        self._script = redis.register_script(read_script())
        self._ceilings = Ceilings()
        self._quotas: dict[str, _Quota] = {}
        self._channels: dict[bytes, _Quota] = {}

    def __repr__(self) -> str:
        """How many quotas, and whether Redis is there; no address, which may hold a password."""
        lost = any(q.conveyor and not q.conveyor.connected for q in self._quotas.values())
        state = "connection lost" if lost else "connected"
        return f"<RedisThrottle {len(self._quotas)} quotas, {state}>"

    @contextmanager
    def ceiling(self, quota: str, *, rpm: float | None, tpm: float | None) -> Iterator[None]:
        """See :meth:`batcher.ports.Throttle.ceiling`."""
        self._ceilings.add(quota, rpm, tpm)
        try:
            yield
        finally:
            self._ceilings.remove(quota, rpm, tpm)

    async def reserve(
        self, quota: str, costs: Sequence[TokenDemand], flow: Flow = ANYBODY
    ) -> Grant:
        """See :meth:`batcher.ports.Throttle.reserve`; waits for as long as Redis is not there."""
        if not costs:
            return Grant(tickets=())
        known, conveyor = self._open(quota)
        operation = wire.reserve(flow, costs, self._ceilings.of(quota))
        answer = conveyor.put(operation, must=True)
        try:
            done = await asyncio.shield(answer)
        except asyncio.CancelledError:
            conveyor.abandon(answer, partial(_give_back_unclaimed, conveyor, costs))
            raise
        tickets, later = _tickets(done, costs)
        here = known.clock.here
        return Grant(
            tickets=tuple(ticket._replace(send_at=here(ticket.send_at)) for ticket in tickets),
            come_back_at=None if later is None else here(later),
        )

    async def give_back(self, quota: str, tickets: Sequence[Ticket]) -> None:
        """See :meth:`batcher.ports.Throttle.give_back`; in vain where Redis is not there."""
        if tickets:
            await self._open(quota)[1].put(wire.give_back(tickets), must=False)

    async def settle(self, quota: str, ticket: Ticket, observation: Observation) -> None:
        """See :meth:`batcher.ports.Throttle.settle`; in vain where Redis is not there.

        It goes before whatever is asked next, and nobody waits until it is there.
        """
        known, conveyor = self._open(quota)
        conveyor.tell(wire.settle(ticket, observation, known.clock.there))

    async def pause(
        self, quota: str, ticket: Ticket, *, until: float, slowly: bool = False
    ) -> bool:
        """See :meth:`batcher.ports.Throttle.pause`.

        Where Redis is not there, it is told later, and this guesses what it will answer.
        """
        known, conveyor = self._open(quota)
        operation = wire.pause(ticket, known.clock.there(until), slowly=slowly)
        answer = conveyor.put(operation, must=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(TELL_SECONDS):
                done = await asyncio.shield(answer)
                assert done is not None
                return wire.began(done)
        return ticket.epoch >= known.epoch

    def is_void(self, quota: str, ticket: Ticket) -> bool:
        """See :meth:`batcher.ports.Throttle.is_void`."""
        return ticket.epoch < self._quota(quota).epoch

    def limits(self, quota: str) -> Limits:
        """See :meth:`batcher.ports.Throttle.limits`."""
        known, figures = self._quota(quota), self._quota(quota).figures
        if figures is None:
            rpm, tpm = self._ceilings.of(quota)
            return Limits(requests_per_minute=rpm, tokens_per_minute=tpm)
        here = known.clock.here
        return show_limits(
            self._clock.now(),
            here(figures.at),
            here(known.paused_until),
            figures.requests,
            figures.tokens,
            by_chance=figures.by_chance,
        )

    async def check(self, quota: str) -> None:
        """See :meth:`batcher.ports.Throttle.check`: whether Redis does what it is asked."""
        known = self._quota(quota)
        try:
            await self._call(known, [wire.LOOK])
        except (RedisError, OSError) as error:
            raise UsageError(f"Redis cannot be used: {_first_line(error)}") from error

    async def listen(self) -> None:
        """Hear what others tell, until cancelled."""
        while True:
            with suppress(RedisError, OSError):
                async with self._redis.pubsub() as channel:
                    await channel.psubscribe(f"{PREFIX}*{NEWS}")
                    await self._hear(channel)
            await self._clock.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Let Redis hear what it was told last, and end what works in the background."""
        conveyors = [quota.conveyor for quota in self._quotas.values() if quota.conveyor]
        await asyncio.gather(*(each.put(wire.LOOK, must=False) for each in conveyors))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hear(self, channel: PubSub) -> None:
        while True:
            message = await channel.get_message(timeout=LISTEN_SECONDS)
            if message is None:
                await channel.ping()  # fails where nobody is there any more
            elif message["type"] == "pmessage" and message["channel"] in self._channels:
                self._channels[message["channel"]].hear(wire.news(message["data"]))

    async def _call(self, quota: _Quota, operations: Sequence[wire.Operation]) -> list[bytes]:
        """Run the script once; whatever it answers, the figures are heard."""
        time = "" if self._script_time is None else repr(self._script_time())
        arguments: list[bytes | str | int] = [
            quota.channel,
            time,
            KEEP_SECONDS * 1000,
            self._worker,
        ]
        for operation in operations:
            arguments += operation
        asked_at = self._clock.now()
        answers: list[bytes] = await self._script(keys=[quota.key], args=arguments)
        figures = wire.figures(answers[0])
        quota.clock.hear(asked_at, figures.now, self._clock.now())
        quota.hear(figures)
        quota.figures = figures
        return answers[1:]

    def _quota(self, name: str) -> _Quota:
        quota = self._quotas.get(name)
        if quota is None:
            quota = self._quotas[name] = _Quota(name)
            self._channels[quota.channel.encode()] = quota
        return quota

    def _open(self, name: str) -> tuple[_Quota, Conveyor]:
        """A quota and what brings operations to it, which begins to work if it did not."""
        quota = self._quota(name)
        if quota.conveyor is None:
            quota.conveyor = Conveyor(partial(self._call, quota), self._clock)
            if not self._tasks:
                self._start(self.listen(), "throttle news")
            self._start(quota.conveyor.run(), f"throttle {quota.key}")
        return quota, quota.conveyor

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))


def _tickets(
    answer: bytes | None, costs: Sequence[TokenDemand]
) -> tuple[list[Ticket], float | None]:
    assert answer is not None, "a reservation is repeated until it is answered"
    return wire.tickets(answer, costs)


def _give_back_unclaimed(conveyor: Conveyor, costs: Sequence[TokenDemand], answer: Answer) -> None:
    """Who reserved was cancelled meanwhile."""
    if not answer.cancelled() and answer.exception() is None:
        tickets, _ = _tickets(answer.result(), costs)
        if tickets:
            conveyor.put(wire.give_back(tickets), must=False)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


@asynccontextmanager
async def open_throttle(
    url: str, clock: Clock, *, script_time: Callable[[], float] | None = None
) -> AsyncIterator[RedisThrottle]:
    """A throttle in the Redis at a URL; it connects when it is first used."""
    redis = Redis.from_url(
        url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        socket_keepalive=True,
    )
    throttle = RedisThrottle(redis, clock, script_time=script_time)
    try:
        yield throttle
    finally:
        await throttle.close()
        await redis.aclose()
