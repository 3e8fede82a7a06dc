"""When each call is sent: the pump between the queue and the wire.

One pump a job. It asks the throttle for send times in batches, sleeps until the next of them, and
starts each call when its time has come, its shard's allowance covers it and the window has room.
It never polls: it wakes at a known time or when something changed.
"""

from __future__ import annotations

from collections.abc import Callable

from batcher.core.throttle.bucket import Ticket
from batcher.engine.routes.call_queue import EARLY_SECONDS
from batcher.engine.routes.online.in_flight import MOST_PIECES, InFlight
from batcher.engine.routes.online.send_times import SendTimes
from batcher.engine.routes.send_gate import SendGate
from batcher.engine.shards.call import Call
from batcher.ports import Clock

_BATCH = 256
_MOST_PIECES_READY = 2 * MOST_PIECES
_MOST_TOKENS_READY = 4_000_000
_FEWEST_READY = 4
_SHORTEST_SECONDS = 0.001
"""uvloop's timers count whole milliseconds: a shorter wait may end before the clock has moved."""
_LATE_SECONDS = 1.0


class Dispatcher:
    """Has the calls of one run started, each when it may be."""

    def __init__(
        self, gate: SendGate, send_times: SendTimes, in_flight: InFlight, clock: Clock
    ) -> None:
        self._gate = gate
        self._queue = gate.queue
        self._send_times = send_times
        self._in_flight = in_flight
        self._clock = clock
        self._stopped = False

    @property
    def wanting(self) -> int:
        """How many more calls would keep the window busy.

        Large ones are leased as they can be sent: all that waits is in memory.
        """
        ready = self._queue.ready
        wanted = 2 * self._in_flight.window.size + 16
        if ready:
            first, last = ready[0], ready[-1]
            pieces = max(len(first.pieces), len(last.pieces))
            tokens = max(first.tokens, last.tokens, 1)
            wanted = min(wanted, _MOST_PIECES_READY // pieces, _MOST_TOKENS_READY // tokens)
            wanted = max(wanted, _FEWEST_READY)
        return wanted - len(ready) - len(self._queue.aside)

    def landed(self, call: Call) -> None:
        """A call that was started is no longer in flight."""
        self._in_flight.land(call)
        self._gate.landed(call)

    def halt(self) -> None:
        """Send nothing more, from this moment on."""
        self._stopped = True
        self._queue.wake()

    async def stop(self) -> None:
        """Send nothing more; what was reserved goes back to the throttle."""
        self.halt()
        await self._unbook()

    async def pump(self, start: Callable[[Call, Ticket], None], hungry: Callable[[], None]) -> None:
        """Have calls started as they become due, until cancelled or stopped.

        ``hungry`` is called when there is room for more calls than are queued.
        """
        while not self._stopped:
            now = self._clock.now()
            await self._move_due(now)
            await self._start_due(now, start)
            await self._book(now)
            if self.wanting > 0:
                hungry()
            await self._queue.news(self._sleep_seconds(now))

    # --- the steps of the pump ----------------------------------------------------------------

    async def _move_due(self, now: float) -> None:
        """Calls whose delay is over go before the others, once their record is written."""
        # In a doubt, rows that nobody has tried are the better probes.
        self._gate.move_due(now, behind=self._in_flight.health.doubted)
        first = self._queue.first
        if first is not None and first.after_flush <= self._gate.written:
            await self._unbook()
            self._queue.take_first()

    async def _start_due(self, now: float, start: Callable[[Call, Ticket], None]) -> None:
        """Start what is booked and due; void tickets and stale ones are booked again.

        Stale: what waited for something else than its time would go out in one burst.
        """
        gate, in_flight = self._gate, self._in_flight
        tickets, calls = self._send_times.booked, self._queue.aside
        while tickets and not self._stopped:
            ticket, call = tickets[0], calls[0]
            if self._send_times.is_void(ticket):
                await self._unbook()
                return
            if ticket.send_at > now + EARLY_SECONDS or self._room(now) <= 0:
                return
            if ticket.send_at < now - _LATE_SECONDS:
                await self._unbook()
                return
            if call.shard.lost:
                tickets.popleft()
                calls.popleft()
                await self._send_times.give_back([ticket])
                continue
            if not gate.is_paid(call):
                await self._unbook()  # others behind it may be sent
                gate.ask_to_write()
                return
            if not call.shard.allows(call):
                gate.ask_to_write()
                return
            if not in_flight.holds(call) or gate.is_blocked:
                return
            tickets.popleft()
            calls.popleft()
            in_flight.start(call)
            gate.sent(call)
            start(call, ticket)

    async def _book(self, now: float) -> None:
        """Reserve send times for as many calls as the window has room for."""
        queue = self._queue
        queue.drop_lost()
        room = min(self._room(now) - len(queue.aside), len(queue.ready), _BATCH)
        if room <= 0 or now < self._send_times.ask_at:
            return
        calls = [] if self._stopped else self._gate.next(room)
        if not calls:
            return
        tickets = await self._send_times.reserve(calls, now)
        if self._stopped:
            queue.put_back(calls)
            await self._send_times.give_back(tickets)
            return
        granted = len(tickets)
        self._send_times.booked.extend(tickets)
        queue.set_aside(calls[:granted])
        queue.put_back(calls[granted:])
        if granted:
            queue.wake()

    async def _unbook(self) -> None:
        self._queue.bring_back()
        await self._send_times.give_back_all()

    def _room(self, now: float) -> int:
        """How many more calls may be in flight; none beside one that goes before all others."""
        queue = self._queue
        if queue.first is not None:
            return 0
        wanted = len(queue.aside)
        if now >= self._send_times.ask_at:
            wanted += len(queue.ready)
        return self._in_flight.room(now, wanted)

    def _sleep_seconds(self, now: float) -> float | None:
        """How long nothing can change by itself; None where only news can change anything.

        ``now`` is when the steps looked: what has come due since then was not seen by them.
        """
        due = [] if (next_due := self._queue.next_due(now)) is None else [next_due]
        booked = self._send_times.booked
        if booked and booked[0].send_at > now + EARLY_SECONDS:
            due.append(booked[0].send_at)
        if self._queue.ready and self._send_times.ask_at > now:
            due.append(self._send_times.ask_at)
        if (probe_at := self._in_flight.next_probe(now)) is not None:
            due.append(probe_at)
        if not due:
            return None
        seconds = min(due) - self._clock.now()
        return max(seconds, _SHORTEST_SECONDS) if seconds > 0 else 0.0
