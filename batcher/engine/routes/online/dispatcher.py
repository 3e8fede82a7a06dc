"""When each call is sent: the queue between leased shards and the wire.

One pump a job. It asks the throttle for send times in batches, sleeps until the next of them, and
starts each call when its time has come, its shard's allowance covers it and the window has room.
It never polls: it wakes at a known time or when something changed.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count

from batcher.core.failures.outage import Health
from batcher.core.failures.verdicts import Chance, backoff_seconds
from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.sharing import Flow
from batcher.core.throttle.slots import Seat, Slots
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.wakeup import Wakeup
from batcher.ports import Clock, Throttle

_BATCH = 256
_MOST_PIECES_IN_FLIGHT = 8_192
_MOST_PIECES_READY = 2 * _MOST_PIECES_IN_FLIGHT
_MOST_TOKENS_READY = 4_000_000
_FEWEST_READY = 4
_MOST_TOKENS_IN_FLIGHT = 8_000_000
"""Some 32 MB of texts, each of them in memory two or three times while it is sent."""
_EARLY_SECONDS = 0.0005
_SHORTEST_SECONDS = 0.001
"""uvloop's timers count whole milliseconds: a shorter wait may end before the clock has moved."""
_LATE_SECONDS = 1.0


class Dispatcher:
    """Calls waiting to be sent, and those in flight.

    ``waits`` counts the send times that lay ahead when they were given, ``wait_seconds`` how far.
    """

    def __init__(
        self,
        *,
        throttle: Throttle,
        quota: str,
        flow: Flow,
        slots: Slots,
        window: ConcurrencyWindow,
        health: Health,
        checkpoint_writer: CheckpointWriter,
        run_budget: RunBudget,
        clock: Clock,
        chance: Chance,
        charge: Callable[[Call], TokenDemand],
        hungry: Callable[[], None],
    ) -> None:
        """``flow`` is who asks; ``slots`` are shared with the other jobs of the process.

        ``charge`` says what a call takes from the limit; ``hungry`` is called when there is room
        for more calls than are queued.
        """
        self._throttle = throttle
        self._quota = quota
        self._flow = flow
        self._slots = slots
        self._seat = Seat(flow.weight, self.wake)
        self._window = window
        self._health = health
        self._checkpoint_writer = checkpoint_writer
        self._run_budget = run_budget
        self._clock = clock
        self._chance = chance
        self._charge = charge
        self._hungry = hungry
        self._ready: deque[Call] = deque()
        self._delayed: list[tuple[float, int, Call, bool]] = []
        self._held: list[tuple[Call, bool]] = []
        self._booked: deque[tuple[Ticket, Call]] = deque()
        self._first: Call | None = None
        self._order = count()
        self._reserve_at = 0.0
        self._probe_at = 0.0
        self._pieces_in_flight = 0
        self._tokens_in_flight = 0
        self._stopped = False
        self._wakeup = Wakeup()
        self.waits = 0
        self.wait_seconds = 0.0

    @property
    def in_flight(self) -> int:
        """Calls that were started and have not landed."""
        return self._seat.in_flight

    @property
    def queued(self) -> int:
        """Calls that wait to be sent, for whatever reason."""
        waiting = len(self._ready) + len(self._delayed) + len(self._held) + len(self._booked)
        return waiting + (self._first is not None)

    def waiting(self) -> Iterator[Call]:
        """The calls that wait to be sent."""
        yield from self._ready
        yield from (call for call, _ in self._held)
        yield from (call for _, _, call, _ in self._delayed)
        yield from (call for _, call in self._booked)

    @property
    def unpaid(self) -> bool:
        """Whether calls wait, none is in flight, and there is no money for any."""
        if self.in_flight or self._delayed or self._held or not self.queued:
            return False
        return not any(self._is_paid(call) for call in self.waiting())

    def _is_paid(self, call: Call) -> bool:
        """Whether there is money for the call, as far as is known."""
        allowed = call.shard.allows(call) or not self._checkpoint_writer.budget_short
        return allowed and self._run_budget.affords(call)

    @property
    def wanting(self) -> int:
        """How many more calls would keep the window busy.

        Large ones are leased as they can be sent: all that waits is in memory.
        """
        wanted = 2 * self._window.size + 16
        if self._ready:
            first, last = self._ready[0], self._ready[-1]
            pieces = max(len(first.pieces), len(last.pieces))
            tokens = max(first.tokens, last.tokens, 1)
            wanted = min(wanted, _MOST_PIECES_READY // pieces, _MOST_TOKENS_READY // tokens)
            wanted = max(wanted, _FEWEST_READY)
        return wanted - len(self._ready) - len(self._booked)

    def wake(self) -> None:
        """Something changed: look again."""
        self._wakeup.set()

    def add(self, shard: LeasedShard) -> None:
        """Queue all calls of a shard, behind those that wait."""
        self._ready.extend(shard.calls)
        self.wake()

    def again(self, call: Call, after_seconds: float = 0.0, *, last: bool = False) -> None:
        """Queue a call once more, before all first sends or as the ``last``."""
        due = self._clock.now() + after_seconds
        heapq.heappush(self._delayed, (due, next(self._order), call, last))
        self.wake()

    def before_all(self, call: Call) -> None:
        """Queue a call before whatever waits, once its record is written."""
        self._first = call
        self._checkpoint_writer.request()
        self.wake()

    def landed(self, call: Call) -> None:
        """A call that was started is no longer in flight."""
        self._slots.give(self._seat)
        self._pieces_in_flight -= len(call.pieces)
        self._tokens_in_flight -= call.tokens
        self._run_budget.land(call)
        self._wakeup.set()

    def probe_failed(self) -> None:
        """In an outage or a doubt: wait before the next probe."""
        probes = min(self._health.probes, 1) if self._health.doubted else self._health.probes
        self._probe_at = self._clock.now() + backoff_seconds(probes, self._chance)

    def halt(self) -> None:
        """Send nothing more, from this moment on."""
        self._stopped = True
        self.wake()

    async def stop(self) -> None:
        """Send nothing more; what was reserved goes back to the throttle."""
        self.halt()
        await self._unbook()

    @asynccontextmanager
    async def seated(self) -> AsyncIterator[None]:
        """Have a part of the process's slots, for as long as calls may be in flight."""
        with self._slots.shared(self._seat):
            yield

    async def pump(self, start: Callable[[Call, Ticket], None]) -> None:
        """Have calls started as they become due, until cancelled or stopped."""
        while not self._stopped:
            now = self._clock.now()
            self._move_due(now)
            await self._put_first()
            await self._start_due(now, start)
            await self._book(now)
            if self.wanting > 0:
                self._hungry()
            await self._wakeup.wait(self._sleep_seconds(now))

    # --- the steps of the pump ----------------------------------------------------------------

    def _move_due(self, now: float) -> None:
        """Calls whose delay is over go before the others, once their record is written."""
        if self._held:
            held, self._held = self._held, []
            for call, last in held:
                self._release_or_hold(call, last)
        while self._delayed and self._delayed[0][0] <= now + _EARLY_SECONDS:
            _, _, call, last = heapq.heappop(self._delayed)
            self._release_or_hold(call, last)

    def _release_or_hold(self, call: Call, last: bool) -> None:
        if call.after_flush > self._checkpoint_writer.flushed:
            self._held.append((call, last))
            self._checkpoint_writer.request()
        elif last or self._health.doubted:  # rows that nobody has tried are the better probes
            self._ready.append(call)
        else:
            self._ready.appendleft(call)

    async def _put_first(self) -> None:
        if self._first is not None and self._first.after_flush <= self._checkpoint_writer.flushed:
            await self._unbook()
            self._ready.appendleft(self._first)
            self._first = None

    async def _start_due(self, now: float, start: Callable[[Call, Ticket], None]) -> None:
        """Start what is booked and due; void tickets and stale ones are booked again.

        Stale: what waited for something else than its time would go out in one burst.
        """
        while self._booked and not self._stopped:
            ticket, call = self._booked[0]
            if self._throttle.is_void(self._quota, ticket):
                await self._unbook()
                return
            if ticket.send_at > now + _EARLY_SECONDS or self._room(now) <= 0:
                return
            if ticket.send_at < now - _LATE_SECONDS:
                await self._unbook()
                return
            if call.shard.lost:
                self._booked.popleft()
                await self._throttle.give_back(self._quota, [ticket])
                continue
            if not self._is_paid(call):
                await self._unbook()  # others behind it may be sent
                self._checkpoint_writer.request()
                return
            if not call.shard.allows(call):
                self._checkpoint_writer.request()
                return
            if self.in_flight and (
                self._pieces_in_flight + len(call.pieces) > _MOST_PIECES_IN_FLIGHT
                or self._tokens_in_flight + call.tokens > _MOST_TOKENS_IN_FLIGHT
                or self._checkpoint_writer.backlogged
            ):
                return
            self._booked.popleft()
            self._slots.take(self._seat)
            self._pieces_in_flight += len(call.pieces)
            self._tokens_in_flight += call.tokens
            self._run_budget.send(call)
            if call.unit_index == call.shard.next_unit:
                self._checkpoint_writer.note_sent(call.shard)
            start(call, ticket)

    async def _book(self, now: float) -> None:
        """Reserve send times for as many calls as the window has room for."""
        while self._ready and self._ready[0].shard.lost:
            self._ready.popleft()
        room = min(self._room(now) - len(self._booked), len(self._ready), _BATCH)
        if room <= 0 or now < self._reserve_at:
            return
        calls = [] if self._stopped else self._next(room)
        if not calls:
            return
        costs = [self._charge(call) for call in calls]
        grant = await self._throttle.reserve(self._quota, costs, self._flow)
        if self._stopped:
            self._ready.extendleft(reversed(calls))
            await self._throttle.give_back(self._quota, grant.tickets)
            return
        granted = len(grant.tickets)
        self._booked.extend(zip(grant.tickets, calls, strict=False))
        self._ready.extendleft(reversed(calls[granted:]))
        self._reserve_at = grant.come_back_at or 0.0
        if granted:
            waits = [wait for t in grant.tickets if (wait := t.send_at - now) > _EARLY_SECONDS]
            self.waits += len(waits)
            self.wait_seconds += sum(waits)
            self._wakeup.set()

    def _next(self, room: int) -> list[Call]:
        """The next calls to be sent; where money is short, those for which there is some.

        First sends stay in order: behind one that cannot be paid for there go only repeats.
        """
        ready = self._ready
        if not self._checkpoint_writer.budget_short and self._run_budget.affords(ready[0]):
            return [ready.popleft() for _ in range(room)]
        calls: list[Call] = []
        blocked = False
        for call in ready:
            if len(calls) == room:
                break
            first = call.tried_at is None
            if not (first and blocked) and self._is_paid(call):
                calls.append(call)
            elif first:
                blocked = True
        chosen = set(calls)
        self._ready = deque(call for call in ready if call not in chosen)
        return calls

    async def _unbook(self) -> None:
        booked = list(self._booked)
        self._booked.clear()
        self._ready.extendleft(call for _, call in reversed(booked))
        if booked:
            await self._throttle.give_back(self._quota, [ticket for ticket, _ in booked])
        self._reserve_at = 0.0

    def _room(self, now: float) -> int:
        """How many more calls may be in flight: one probe at a time in an outage or a doubt."""
        in_flight = self._seat.in_flight
        if self._first is not None:
            return 0
        if self._health.is_probing(now):
            room = 1 - in_flight if now >= self._probe_at else 0
        else:
            room = self._window.size - in_flight
        if self._slots.unlimited:
            return room
        bookable = len(self._ready) if now >= self._reserve_at else 0
        return self._slots.room(self._seat, min(room, len(self._booked) + bookable))

    def _sleep_seconds(self, now: float) -> float | None:
        """How long nothing can change by itself; None where only news can change anything.

        ``now`` is when the steps looked: what has come due since then was not seen by them.
        """
        times = [self._delayed[0][0]] if self._delayed else []
        if self._booked:
            times.append(self._booked[0][0].send_at)
        due = [time for time in times if time > now + _EARLY_SECONDS]
        if self._ready and self._reserve_at > now:
            due.append(self._reserve_at)
        if self._health.is_probing(now) and self._probe_at > now:
            due.append(self._probe_at)
        if not due:
            return None
        seconds = min(due) - self._clock.now()
        return max(seconds, _SHORTEST_SECONDS) if seconds > 0 else 0.0
