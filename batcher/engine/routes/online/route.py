"""The online route of one run, put together: the pump, the senders, and their pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from batcher.core.failures.outage import Health
from batcher.core.job.spec import JobSpec
from batcher.core.throttle.bucket import Limits
from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.sharing import WEIGHTS, Flow
from batcher.core.throttle.slots import Seat
from batcher.engine.routes.online.dispatcher import Dispatcher
from batcher.engine.routes.online.in_flight import InFlight
from batcher.engine.routes.online.pace import Pace
from batcher.engine.routes.online.send_times import SendTimes
from batcher.engine.routes.online.senders import Exchange, Senders
from batcher.engine.routes.route import AnswerTaker, RouteFigures, RouteNeeds

_FIRST_WINDOW = 8


class OnlineRoute:
    """Sends calls one by one, now (:class:`batcher.engine.routes.route.Route`)."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        senders: Senders,
        pace: Pace,
        *,
        in_flight: InFlight,
        send_times: SendTimes,
        limits: Callable[[], Limits],
    ) -> None:
        """``limits`` tells those of the quota, as far as they are known."""
        self.feedback = pace
        self._dispatcher = dispatcher
        self._senders = senders
        self._in_flight = in_flight
        self._send_times = send_times
        self._limits = limits

    @property
    def figures(self) -> RouteFigures:
        """How many are on the wire, how many may be, and how long they waited for that."""
        return RouteFigures(
            in_flight=self._in_flight.count,
            window=self._in_flight.window.size,
            limits=self._limits(),
            waits=self._send_times.waits,
            wait_seconds=self._send_times.wait_seconds,
        )

    @property
    def wanting(self) -> int:
        """How many more calls would keep the window busy."""
        return self._dispatcher.wanting

    def open(self) -> AbstractContextManager[None]:
        """Have a part of the process's slots."""
        return self._in_flight.seated()

    async def run(self, answers: AnswerTaker, hungry: Callable[[], None]) -> None:
        """Send each call when it may be."""
        async with asyncio.TaskGroup() as group:
            start = partial(self._senders.start, answers=answers, group=group)
            await self._dispatcher.pump(start, hungry)

    def halt(self) -> None:
        """Send nothing more."""
        self._dispatcher.halt()

    async def drain(self, grace_seconds: float) -> None:
        """Give back what was reserved; let what is on the wire end within the grace time."""
        await self._dispatcher.stop()
        await self._senders.wind_down(grace_seconds)


def make_online_route(needs: RouteNeeds) -> OnlineRoute:
    """The online route of a run."""
    services, connection, requests = needs.services, needs.connection, needs.requests
    flow = Flow(needs.job_id, WEIGHTS[needs.spec.priority])
    in_flight = InFlight(
        _window(needs.spec),
        Health(),
        slots=services.slots,
        seat=Seat(flow.weight, needs.gate.queue.wake),
        clock=services.clock,
        chance=services.chance,
    )
    send_times = SendTimes(connection.throttle, connection.quota, flow, requests.demand.of)
    dispatcher = Dispatcher(needs.gate, send_times, in_flight, services.clock)
    pace = Pace(
        throttle=connection.throttle,
        quota=connection.quota,
        in_flight=in_flight,
        clock=services.clock,
        chance=services.chance,
    )
    exchange = Exchange(
        connection.provider,
        requests.builder,
        learning=requests.learning,
        answer_size=requests.answer_size,
        keys=needs.keys,
        room=services.room,
    )
    return OnlineRoute(
        dispatcher,
        Senders(exchange, pace, dispatcher, name=needs.name, end=needs.end),
        pace,
        in_flight=in_flight,
        send_times=send_times,
        limits=partial(connection.throttle.limits, connection.quota),
    )


def _window(spec: JobSpec) -> ConcurrencyWindow:
    """All that is allowed where the user names a limit, else a few to begin with."""
    known = spec.rpm is not None or spec.tpm is not None
    initial = spec.concurrency if known else min(_FIRST_WINDOW, spec.concurrency)
    return ConcurrencyWindow(spec.concurrency, initial)
