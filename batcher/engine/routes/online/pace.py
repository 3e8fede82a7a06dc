"""What answers say about the pace: the throttle's buckets, its pauses, and the window."""

from __future__ import annotations

from batcher.core.failures.outage import Health
from batcher.core.failures.reading import read_retry_after
from batcher.core.failures.verdicts import Chance, SharedPause, pause_seconds
from batcher.core.model import Learned
from batcher.core.throttle.bucket import Ticket
from batcher.core.throttle.observation import observation_from_headers
from batcher.engine.routes.online.in_flight import InFlight
from batcher.engine.routes.route import Sent
from batcher.engine.shards.call import Call
from batcher.ports import Clock, Reply, Throttle


class Pace:
    """Passes on to one quota's throttle, and to one job's window, what came back.

    What it keeps of a call that was sent is its ticket, and the epoch of the window then.
    """

    def __init__(
        self,
        *,
        throttle: Throttle,
        quota: str,
        in_flight: InFlight,
        clock: Clock,
        chance: Chance,
    ) -> None:
        """``chance`` is for backoff's jitter."""
        self._throttle = throttle
        self._quota = quota
        self._in_flight = in_flight
        self._window = in_flight.window
        self._clock = clock
        self._chance = chance
        self._pauses_in_a_row = 0
        self._told = False

    @property
    def health(self) -> Health:
        """See :class:`batcher.engine.routes.route.Feedback`, as for all that follows but one."""
        return self._in_flight.health

    def begin(self, call: Call, ticket: Ticket, learned: Learned) -> Sent:
        """The call leaves now, as what was ``learned`` by now makes it."""
        now = self._clock.now()
        call.start(now)
        return Sent(call, now, learned, (ticket, self._window.epoch))

    async def observe(self, sent: Sent, reply: Reply, used_tokens: int | None) -> None:
        """Settle the ticket by the answer's headers and, where known, its usage."""
        admitted = reply.status != 429
        wall = self._clock.wall()
        observation = observation_from_headers(
            reply.headers,
            sent_at=sent.at,
            admitted=admitted,
            used_tokens=used_tokens,
            wall=wall,
            retry_after=None if admitted else read_retry_after(reply.headers, wall),
        )
        ticket: Ticket = sent.handle[0]
        await self._throttle.settle(self._quota, ticket, observation)

    async def pause(self, sent: Sent, pause: SharedPause) -> float | None:
        """A rate limit: stop everyone once; returns for how long, None where all wait already."""
        ticket: Ticket = sent.handle[0]
        now = self._clock.now()
        wait = pause.wait_seconds
        if self._throttle.is_void(self._quota, ticket):
            wait = wait or 0.0  # everyone waits already
        elif not wait:
            self._pauses_in_a_row += 1
            wait = pause_seconds(self._pauses_in_a_row, self._chance)
        stopped = await self._throttle.pause(
            self._quota, ticket, until=now + wait, slowly=pause.slow_down
        )
        if not self._throttle.limits(self._quota).by_chance:
            self.object_to(sent)
        return wait if stopped else None

    def object_to(self, sent: Sent) -> None:
        """The provider could not serve it: fewer at once, perhaps."""
        window_epoch: int = sent.handle[1]
        self._window.objected(window_epoch, limits_known=self._limits_known())

    def succeed(self) -> None:
        """The provider served one: more at once, perhaps."""
        self._window.succeeded(limits_known=self._limits_known())

    def resume(self) -> None:
        """A result came: the next 429 that names no time begins a new series of waits."""
        self._pauses_in_a_row = 0

    def probe_failed(self) -> None:
        """In an outage or a doubt: wait before the next probe."""
        self._in_flight.probe_failed()

    def _limits_known(self) -> bool:
        """Whether somebody told a limit; once known, always known."""
        if not self._told:
            limits = self._throttle.limits(self._quota)
            known = (limits.requests_per_minute, limits.tokens_per_minute)
            self._told = known != (None, None)
        return self._told
