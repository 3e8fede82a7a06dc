"""A process's requests in flight, shared by its jobs: by weight, and none of it left idle.

Decides how many more requests a job may start. A job may use what the others do not want; what it
uses beyond its share comes to them as its requests end, and nothing is taken away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count


class Seat:
    """One job's part of the slots: how many it uses, and whether it wants more."""

    __slots__ = ("in_flight", "turn", "wake", "wants", "weight")

    def __init__(self, weight: float, wake: Callable[[], None]) -> None:
        """``wake`` is called when there may be room for one that wants more."""
        self.weight = weight
        self.wake = wake
        self.in_flight = 0
        self.wants = False
        self.turn = 0

    def __repr__(self) -> str:
        """How many it uses."""
        return f"<Seat {self.in_flight}{' and wants more' if self.wants else ''}>"


class Slots:
    """At most ``maximum`` requests in flight; None is no limit."""

    def __init__(self, maximum: int | None = None) -> None:
        self._maximum = maximum
        self.unlimited = maximum is None
        self._seats: list[Seat] = []
        self._turns = count(1)
        self.in_flight = 0

    def __repr__(self) -> str:
        """How many are used, by how many jobs."""
        most = "" if self._maximum is None else f" of {self._maximum}"
        return f"<Slots {self.in_flight}{most}, {len(self._seats)} jobs>"

    @contextmanager
    def shared(self, seat: Seat) -> Iterator[None]:
        """Count a job in, while it is being served."""
        self._seats.append(seat)
        try:
            yield
        finally:
            self._seats.remove(seat)
            self.in_flight -= seat.in_flight  # what an abort kept from ever being given back
            seat.in_flight = 0
            seat.wants = False
            self._wake_others(seat)

    def room(self, seat: Seat, wanted: int) -> int:
        """How many of the requests that a job wants to start it may start now.

        Its share, and what is not owed to those that want theirs; who was served longest ago comes
        first.
        """
        if self._maximum is None:
            return wanted
        free = self._maximum - self.in_flight
        others = [other for other in self._seats if other is not seat and other.wants]
        weights = seat.weight + sum([other.weight for other in others])
        owed = [self._owed(other, weights) for other in others]
        before = sum(
            [due for other, due in zip(others, owed, strict=True) if other.turn < seat.turn]
        )
        mine = min(self._owed(seat, weights), free - before)
        room = max(0, min(wanted, max(mine, free - sum(owed))))
        seat.wants = room < wanted
        return room

    def take(self, seat: Seat) -> None:
        """A request is started."""
        seat.turn = next(self._turns)
        seat.in_flight += 1
        self.in_flight += 1

    def give(self, seat: Seat) -> None:
        """One has ended."""
        seat.in_flight -= 1
        self.in_flight -= 1
        if self._maximum is not None:
            self._wake_others(seat)

    def _owed(self, seat: Seat, weights: float) -> int:
        """What a job's share, of all that are used or wanted, has left."""
        assert self._maximum is not None
        return max(0, math.ceil(self._maximum * seat.weight / weights) - seat.in_flight)

    def _wake_others(self, seat: Seat) -> None:
        for other in self._seats:
            if other is not seat and other.wants:
                other.wake()
