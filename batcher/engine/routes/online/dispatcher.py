"""When each call is sent: the pump between the queue and the wire.

One pump a job. It asks the throttle for send times in batches, sleeps until the next of them, and
starts each call when its time has come, its shard's allowance covers it and the window has room.
It never polls: it wakes at a known time or when something changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from batcher.core.throttle.bucket import Ticket
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.routes.call_queue import EARLY_SECONDS, CallQueue
from batcher.engine.routes.online.in_flight import MOST_PIECES, InFlight
from batcher.engine.routes.online.send_times import SendTimes
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
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
        self,
        queue: CallQueue,
        send_times: SendTimes,
        in_flight: InFlight,
        *,
        checkpoint_writer: CheckpointWriter,
        run_budget: RunBudget,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._send_times = send_times
        self._in_flight = in_flight
        self._checkpoint_writer = checkpoint_writer
        self._run_budget = run_budget
        self._clock = clock
        self._stopped = False

    @property
    def in_flight(self) -> int:
        """Calls that were started and have not landed."""
        return self._in_flight.count

    @property
    def waits(self) -> int:
        """How many send times lay ahead when they were given."""
        return self._send_times.waits

    @property
    def wait_seconds(self) -> float:
        """How far they lay ahead, all together."""
        return self._send_times.wait_seconds

    @property
    def is_idle(self) -> bool:
        """Whether no call waits and none is in flight."""
        return not self._in_flight.count and not self._queue

    @property
    def unpaid(self) -> bool:
        """Whether calls wait, none is in flight, and there is no money for any."""
        if self._in_flight.count or self._queue.has_repeats or not self._queue:
            return False
        return not any(self._is_paid(call) for call in self._queue.waiting())

    def _is_paid(self, call: Call) -> bool:
        """Whether there is money for the call, as far as is known."""
        allowed = call.shard.allows(call) or not self._checkpoint_writer.budget_short
        return allowed and self._run_budget.affords(call)

    @property
    def wanting(self) -> int:
        """How many more calls would keep the window busy.

        Large ones are leased as they can be sent: all that waits is in memory.
        """
        ready = self._queue.ready
        wanted = 2 * self._in_flight.window_size + 16
        if ready:
            first, last = ready[0], ready[-1]
            pieces = max(len(first.pieces), len(last.pieces))
            tokens = max(first.tokens, last.tokens, 1)
            wanted = min(wanted, _MOST_PIECES_READY // pieces, _MOST_TOKENS_READY // tokens)
            wanted = max(wanted, _FEWEST_READY)
        return wanted - len(ready) - len(self._queue.booked)

    def landed(self, call: Call) -> None:
        """A call that was started is no longer in flight."""
        self._in_flight.land(call)
        self._run_budget.land(call)
        self._queue.wake()

    def seated(self) -> AbstractContextManager[None]:
        """Have a part of the process's slots, for as long as calls may be in flight."""
        return self._in_flight.seated()

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
        written = self._checkpoint_writer.flushed
        if self._queue.move_due(now, written, behind=self._in_flight.doubted):
            self._checkpoint_writer.request()
        first = self._queue.first
        if first is not None and first.after_flush <= self._checkpoint_writer.flushed:
            await self._unbook()
            self._queue.take_first()

    async def _start_due(self, now: float, start: Callable[[Call, Ticket], None]) -> None:
        """Start what is booked and due; void tickets and stale ones are booked again.

        Stale: what waited for something else than its time would go out in one burst.
        """
        booked = self._queue.booked
        while booked and not self._stopped:
            ticket, call = booked[0]
            if self._send_times.is_void(ticket):
                await self._unbook()
                return
            if ticket.send_at > now + EARLY_SECONDS or self._room(now) <= 0:
                return
            if ticket.send_at < now - _LATE_SECONDS:
                await self._unbook()
                return
            if call.shard.lost:
                booked.popleft()
                await self._send_times.give_back([ticket])
                continue
            if not self._is_paid(call):
                await self._unbook()  # others behind it may be sent
                self._checkpoint_writer.request()
                return
            if not call.shard.allows(call):
                self._checkpoint_writer.request()
                return
            if not self._in_flight.holds(call) or (
                self._checkpoint_writer.backlogged and self._in_flight.count
            ):
                return
            booked.popleft()
            self._in_flight.start(call)
            self._run_budget.send(call)
            if call.unit_index == call.shard.worklist.next_unit:
                self._checkpoint_writer.note_sent(call.shard)
            start(call, ticket)

    async def _book(self, now: float) -> None:
        """Reserve send times for as many calls as the window has room for."""
        queue = self._queue
        queue.drop_lost()
        room = min(self._room(now) - len(queue.booked), len(queue.ready), _BATCH)
        if room <= 0 or now < self._send_times.ask_at:
            return
        calls = [] if self._stopped else self._next(room)
        if not calls:
            return
        tickets = await self._send_times.reserve(calls, now)
        if self._stopped:
            queue.put_back(calls)
            await self._send_times.give_back(tickets)
            return
        granted = len(tickets)
        queue.book(tickets, calls[:granted])
        queue.put_back(calls[granted:])
        if granted:
            queue.wake()

    def _next(self, room: int) -> list[Call]:
        """The next calls to be sent; where money is short, those for which there is some."""
        short = self._checkpoint_writer.budget_short
        if not short and self._run_budget.affords(self._queue.ready[0]):
            return self._queue.take(room)
        return self._queue.take_paid(room, self._is_paid)

    async def _unbook(self) -> None:
        await self._send_times.give_back(self._queue.unbook())
        self._send_times.ask_at = 0.0

    def _room(self, now: float) -> int:
        """How many more calls may be in flight; none beside one that goes before all others."""
        queue = self._queue
        if queue.first is not None:
            return 0
        wanted = len(queue.booked)
        if now >= self._send_times.ask_at:
            wanted += len(queue.ready)
        return self._in_flight.room(now, wanted)

    def _sleep_seconds(self, now: float) -> float | None:
        """How long nothing can change by itself; None where only news can change anything.

        ``now`` is when the steps looked: what has come due since then was not seen by them.
        """
        due = [] if (next_due := self._queue.next_due(now)) is None else [next_due]
        if self._queue.ready and self._send_times.ask_at > now:
            due.append(self._send_times.ask_at)
        if (probe_at := self._in_flight.next_probe(now)) is not None:
            due.append(probe_at)
        if not due:
            return None
        seconds = min(due) - self._clock.now()
        return max(seconds, _SHORTEST_SECONDS) if seconds > 0 else 0.0
