"""The calls of one run on the wire, and how many more may join them.

Decides by four bounds at once: the window, the job's part of the process's slots, one probe at a
time in an outage or a doubt, and what all of them take in memory.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from batcher.core.failures.outage import Health
from batcher.core.failures.verdicts import Chance, backoff_seconds
from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.slots import Seat, Slots
from batcher.engine.shards.call import Call
from batcher.ports import Clock

MOST_PIECES = 8_192
MOST_TOKENS = 8_000_000
"""Some 32 MB of texts, each of them in memory two or three times while it is sent."""


class InFlight:
    """Calls that were started and have not landed.

    ``window`` is how many there may be at once by what answers say; ``health`` whether the provider
    is out, or refuses all.
    """

    def __init__(
        self,
        window: ConcurrencyWindow,
        health: Health,
        *,
        slots: Slots,
        seat: Seat,
        clock: Clock,
        chance: Chance,
    ) -> None:
        """``seat`` is the run's part of the ``slots``, which are shared with the process's jobs."""
        self.window = window
        self.health = health
        self._slots = slots
        self._seat = seat
        self._clock = clock
        self._chance = chance
        self._pieces = 0
        self._tokens = 0
        self._probe_at = 0.0

    def __repr__(self) -> str:
        """How many there are."""
        return f"<InFlight {self.count} of {self.window.size}>"

    @property
    def count(self) -> int:
        """How many there are."""
        return self._seat.in_flight

    def seated(self) -> AbstractContextManager[None]:
        """Have a part of the process's slots, for as long as calls may be in flight."""
        return self._slots.shared(self._seat)

    def room(self, now: float, wanted: int) -> int:
        """How many more calls may be in flight: one probe at a time in an outage or a doubt.

        ``wanted`` is how many there are to be started: of shared slots no more are claimed.
        """
        if self.health.is_probing(now):
            room = 1 - self._seat.in_flight if now >= self._probe_at else 0
        else:
            room = self.window.size - self._seat.in_flight
        if self._slots.unlimited:
            return room
        return self._slots.room(self._seat, min(room, wanted))

    def holds(self, call: Call) -> bool:
        """Whether there is memory for the call beside the others; alone any call is held."""
        return not self._seat.in_flight or (
            self._pieces + len(call.pieces) <= MOST_PIECES
            and self._tokens + call.tokens <= MOST_TOKENS
        )

    def start(self, call: Call) -> None:
        """The call leaves."""
        self._slots.take(self._seat)
        self._pieces += len(call.pieces)
        self._tokens += call.tokens

    def land(self, call: Call) -> None:
        """The call is no longer in flight."""
        self._slots.give(self._seat)
        self._pieces -= len(call.pieces)
        self._tokens -= call.tokens

    def probe_failed(self) -> None:
        """In an outage or a doubt: wait before the next probe."""
        probes = min(self.health.probes, 1) if self.health.doubted else self.health.probes
        self._probe_at = self._clock.now() + backoff_seconds(probes, self._chance)

    def next_probe(self, now: float) -> float | None:
        """When the next probe may go out; None where nothing waits for one."""
        if self.health.is_probing(now) and self._probe_at > now:
            return self._probe_at
        return None
