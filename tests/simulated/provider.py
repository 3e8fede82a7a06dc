"""A provider in virtual time, written apart from the throttle, event by event.

Nothing sleeps and nothing is concurrent: a heap of (time, action) is the world.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random


class World:
    """The order of events."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, action))

    def run(self, until: float = math.inf) -> None:
        """Let everything happen up to a time."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        if until < math.inf:
            self.now = max(self.now, until)


@dataclass
class Request:
    """One request: what it is charged at admission, and what it turns out to have used."""

    cost: int
    used: int


class ReferenceProvider:
    """Refuses what its buckets do not hold; keeps them by a log of events, not by debt.

    `stock` is what the buckets hold at the start (default: full). Of all requests a share is
    refused by `chance`, whatever the buckets hold, and asked to wait for `chance_wait` seconds.
    """

    def __init__(
        self,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        bucket_seconds: float = 60.0,
        refunds: bool = False,
        headers: bool = True,
        retry_after: bool = True,
        stock: float = 1.0,
        chance: float = 0.0,
        chance_wait: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.chance = chance
        self.chance_wait = chance_wait
        self.random = Random(seed)
        self.limits = {"requests": rpm, "tokens": tpm}
        self.capacity = {
            name: limit * bucket_seconds / 60
            for name, limit in self.limits.items()
            if limit is not None
        }
        self.stock = {name: stock * capacity for name, capacity in self.capacity.items()}
        self.levels = dict(self.stock)
        self.refunds = refunds
        self.headers = headers
        self.retry_after = retry_after
        self.last = 1000.0
        self.admitted: list[float] = []
        self.refused: list[float] = []

    def _refill(self, now: float) -> None:
        for name, level in self.levels.items():
            gained = (now - self.last) * (self.limits[name] or 0) / 60
            self.levels[name] = min(self.capacity[name], level + gained)
        self.last = now

    def arrive(self, now: float, request: Request) -> tuple[bool, dict[str, str], float]:
        """Whether it is admitted, the headers, and (if not) in how many seconds it might be."""
        self._refill(now)
        if self.chance and self.random.random() < self.chance:
            self.refused.append(now)
            return False, self._headers(), self.chance_wait
        wanted = {"requests": 1.0, "tokens": float(request.cost)}
        waits = [
            (wanted[name] - level) / ((self.limits[name] or 0) / 60)
            for name, level in self.levels.items()
            if level < wanted[name] - 1e-6
        ]
        if not waits:
            self.admitted.append(now)
            for name in self.levels:
                self.levels[name] -= wanted[name]
        else:
            self.refused.append(now)
        return not waits, self._headers(), max(waits, default=0.0)

    def lower(self, now: float, factor: float) -> None:
        """Serve only a share of the limits from now on."""
        self._refill(now)
        for name, limit in self.limits.items():
            self.limits[name] = None if limit is None else limit * factor

    def served_late(self) -> float:
        """Requests a second that were admitted, in the later half of them."""
        half = self.admitted[len(self.admitted) // 2 :]
        return len(half) / (half[-1] - half[0])

    def finish(self, now: float, request: Request) -> None:
        if self.refunds and "tokens" in self.levels:
            self._refill(now)
            self.levels["tokens"] += request.cost - request.used

    def least_seconds(self, requests: Sequence[Request]) -> float:
        """The least time in which all can be admitted, given what the buckets held at the start."""
        charged = {
            "requests": float(len(requests)),
            "tokens": float(sum(r.used if self.refunds else r.cost for r in requests)),
        }
        waits = [
            (charged[name] - self.stock[name]) / ((self.limits[name] or 0) / 60)
            for name in self.levels
        ]
        return max([0.0, *waits])

    def _headers(self) -> dict[str, str]:
        if not self.headers:
            return {}
        found = {}
        for name, level in self.levels.items():
            found[f"x-ratelimit-limit-{name}"] = str(math.floor(self.limits[name] or 0))
            found[f"x-ratelimit-remaining-{name}"] = str(max(0, math.floor(level + 1e-6)))
        return found
