"""The calls of one run that wait to be sent, and in which order they go.

Decides nothing but the order: what is due goes first, what must wait for its record waits, and what
a route has set aside stands apart. It knows no throttle, no money and no wire, so every route takes
from the same queue.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from batcher.engine.shards.call import Call
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.wakeup import Wakeup
from batcher.ports import Clock

EARLY_SECONDS = 0.0005
"""What is due so soon is due now."""


class CallQueue:
    """Calls that wait: ready, later, until their record is written, or set aside by the route.

    ``aside`` are those that the route has taken and not sent: they have a send time, or a place in
    a file that is being filled. The route reads ``ready`` and ``aside``; ``first`` goes before all
    others.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._later: list[tuple[float, int, Call, bool]] = []
        self._unrecorded: list[tuple[Call, bool]] = []
        self._order = count()
        self._news = Wakeup()
        self.ready: deque[Call] = deque()
        self.aside: deque[Call] = deque()
        self.first: Call | None = None

    def __repr__(self) -> str:
        """How many wait, and for what."""
        return (
            f"<CallQueue {len(self.ready)} ready, {len(self.aside)} set aside, "
            f"{len(self._later)} later, {len(self._unrecorded)} to be recorded>"
        )

    def __len__(self) -> int:
        """Calls that wait to be sent, for whatever reason."""
        waiting = len(self.ready) + len(self._later) + len(self._unrecorded) + len(self.aside)
        return waiting + (self.first is not None)

    @property
    def has_repeats(self) -> bool:
        """Whether some wait for a time or a record, and are not ready yet."""
        return bool(self._later or self._unrecorded)

    def waiting(self) -> Iterator[Call]:
        """The calls that wait, except the one that goes before all others."""
        yield from self.ready
        yield from (call for call, _ in self._unrecorded)
        yield from (call for _, _, call, _ in self._later)
        yield from self.aside

    # --- putting in ---------------------------------------------------------------------------

    def add(self, shard: LeasedShard) -> None:
        """Queue all calls of a shard, behind those that wait."""
        self.ready.extend(shard.calls)
        self.wake()

    def again(self, call: Call, after_seconds: float = 0.0, *, last: bool = False) -> None:
        """Queue a call once more, before all first sends or as the ``last``."""
        due = self._clock.now() + after_seconds
        heapq.heappush(self._later, (due, next(self._order), call, last))
        self.wake()

    def before_all(self, call: Call) -> None:
        """Queue a call before whatever waits; it goes once its record is written."""
        self.first = call
        self.wake()

    def wake(self) -> None:
        """Something changed: whoever sends looks again."""
        self._news.set()

    async def news(self, seconds: float | None) -> None:
        """Wait until something changed, or for so long."""
        await self._news.wait(seconds)

    # --- what is due --------------------------------------------------------------------------

    def move_due(self, now: float, written: int, *, behind: bool) -> bool:
        """Make ready what is due and recorded; returns whether a record must be written for some.

        ``written`` numbers the last checkpoint. Repeats go before the others, or ``behind`` them.
        """
        if self._unrecorded:
            held, self._unrecorded = self._unrecorded, []
            for call, last in held:
                self._make_ready(call, written, last=last, behind=behind)
        while self._later and self._later[0][0] <= now + EARLY_SECONDS:
            _, _, call, last = heapq.heappop(self._later)
            self._make_ready(call, written, last=last, behind=behind)
        return bool(self._unrecorded) or (
            self.first is not None and self.first.after_flush > written
        )

    def _make_ready(self, call: Call, written: int, *, last: bool, behind: bool) -> None:
        if call.after_flush > written:
            self._unrecorded.append((call, last))
        elif last or behind:
            self.ready.append(call)
        else:
            self.ready.appendleft(call)

    def take_first(self) -> None:
        """The call that goes before all others is ready, with nothing before it."""
        if self.first is not None:
            self.ready.appendleft(self.first)
            self.first = None

    def next_due(self, now: float) -> float | None:
        """When the next call is due by its own delay; None: none by time alone."""
        if self._later and self._later[0][0] > now + EARLY_SECONDS:
            return self._later[0][0]
        return None

    # --- taking out ---------------------------------------------------------------------------

    def drop_lost(self) -> None:
        """Forget ready calls in front whose shard is somebody else's by now."""
        while self.ready and self.ready[0].shard.lost:
            self.ready.popleft()

    def take(self, most: int) -> list[Call]:
        """The next calls, which must be so many."""
        ready = self.ready
        return [ready.popleft() for _ in range(most)]

    def take_paid(self, most: int, is_paid: Callable[[Call], bool]) -> list[Call]:
        """The next calls for which there is money.

        First sends stay in order: behind one that cannot be paid for there go only repeats.
        """
        calls: list[Call] = []
        blocked = False
        for call in self.ready:
            if len(calls) == most:
                break
            first = call.tried_at is None
            if not (first and blocked) and is_paid(call):
                calls.append(call)
            elif first:
                blocked = True
        chosen = set(calls)
        self.ready = deque(call for call in self.ready if call not in chosen)
        return calls

    def put_back(self, calls: Sequence[Call]) -> None:
        """What was taken goes in front again, in its order."""
        self.ready.extendleft(reversed(calls))

    def set_aside(self, calls: Sequence[Call]) -> None:
        """The route has taken these, behind what it has set aside before, and will send them."""
        self.aside.extend(calls)

    def bring_back(self) -> None:
        """What is set aside is ready again, in front and in its order."""
        self.ready.extendleft(reversed(self.aside))
        self.aside.clear()
