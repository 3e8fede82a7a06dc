"""Providers that count in windows, written apart from the simulator and from the throttle."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from tests.simulated.provider import ReferenceProvider, Request


class WindowedProvider(ReferenceProvider):
    """Refuses what its windows do not hold; keeps one log of what it admitted.

    `shape`: `fixed` (edges at `phase` and each `window` seconds from there), `started` (a window
    begins with the first request after the last one), `sliding` (a log), or `two` (a sliding window
    estimated from two fixed counters). `most` holds what a window admits, of requests or tokens.
    `says` is what headers tell: `reset` (limit, remaining, reset), `remaining` (the first two),
    or `nothing`. `unit` is what the limit is called: `window`, or `minute`. Resets are rounded up
    to `rounding` seconds where it is above 0. Refused requests count too with `counts_refused`;
    with `asks_for_all` they are told to wait for a whole window, and nothing else.
    """

    def __init__(
        self,
        shape: str,
        *,
        window: float,
        requests: int | None = None,
        tokens: int | None = None,
        says: str = "reset",
        unit: str = "window",
        phase: float = 0.0,
        rounding: float = 0.0,
        retry_after: bool = True,
        counts_refused: bool = False,
        asks_for_all: bool = False,
        used: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(retry_after=retry_after, headers=says != "nothing", seed=seed)
        self.shape = shape
        self.window = window
        most = {"requests": requests, "tokens": tokens}
        self.most = {name: float(value) for name, value in most.items() if value is not None}
        self.says = says
        self.unit = unit
        self.phase = phase
        self.rounding = rounding
        self.counts_refused = counts_refused
        self.asks_for_all = asks_for_all
        self.times: list[float] = []
        self.sums: dict[str, list[float]] = {name: [0.0] for name in self.most}
        self.began = -math.inf
        if used:
            self._log(1000.0, {name: used * value for name, value in self.most.items()})

    def _log(self, now: float, wanted: dict[str, float]) -> None:
        self.times.append(now)
        for name, sums in self.sums.items():
            sums.append(sums[-1] + wanted[name])

    def _since(self, name: str, start: float, end: float = math.inf) -> float:
        """What was logged from a time on."""
        first, last = bisect.bisect_left(self.times, start), bisect.bisect_left(self.times, end)
        return self.sums[name][last] - self.sums[name][first]

    def _edge(self, now: float) -> float:
        """The last edge."""
        if self.shape == "started":
            return self.began
        return self.phase + math.floor((now - self.phase) / self.window) * self.window

    def used(self, name: str, now: float) -> float:
        if self.shape == "sliding":
            return self._since(name, now - self.window + 1e-9)
        edge = self._edge(now)
        if self.shape == "two":
            before = self._since(name, edge - self.window, edge)
            return before * (1 - (now - edge) / self.window) + self._since(name, edge)
        return self._since(name, edge)

    def left_at(self, name: str, now: float) -> float:
        return max(0.0, self.most[name] - self.used(name, now))

    def reset(self, name: str, now: float, amount: float = 1.0) -> float:
        """How long until an amount is left again, or (fixed) until the window ends."""
        if self.shape in ("fixed", "started"):
            return self._edge(now) + self.window - now
        if self.shape == "two":
            low, high = 0.0, 2 * self.window
            for _ in range(40):
                middle = (low + high) / 2
                if self.most[name] - self.used(name, now + middle) >= amount:
                    high = middle
                else:
                    low = middle
            return high
        start = bisect.bisect_left(self.times, now - self.window + 1e-9)
        for at in self.times[start:]:
            if self.most[name] - self._since(name, at + 1e-9) >= amount:
                return at + self.window - now
        return 0.0

    def arrive(self, now: float, request: Request) -> tuple[bool, dict[str, str], float]:
        wanted = {"requests": 1.0, "tokens": float(request.cost)}
        if self.shape == "started" and now >= self.began + self.window:
            self.began = now
        short = [n for n in self.most if self.most[n] - self.used(n, now) < wanted[n] - 1e-9]
        waits = [self.reset(name, now, wanted[name]) for name in short]
        if not short or self.counts_refused:
            self._log(now, wanted)
        (self.refused if short else self.admitted).append(now)
        if short and self.asks_for_all:
            return False, {}, self.window
        return not short, self.told(now), max(waits, default=0.0)

    def told(self, now: float) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.says == "nothing":
            return found
        for name, most in self.most.items():
            stated = most * 60 / self.window if self.unit == "minute" else most
            found[f"x-ratelimit-limit-{name}"] = str(math.floor(stated))
            found[f"x-ratelimit-remaining-{name}"] = str(math.floor(self.left_at(name, now)))
            if self.says == "reset":
                reset = self.reset(name, now, max(1.0, self.left_at(name, now) + 1))
                if self.shape == "two":
                    reset = self._edge(now) + self.window - now
                if self.shape == "sliding" and self.times:
                    start = bisect.bisect_left(self.times, now - self.window + 1e-9)
                    reset = self.times[start] + self.window - now if start < len(self.times) else 0
                if self.rounding:
                    reset = math.ceil(reset / self.rounding) * self.rounding
                found[f"x-ratelimit-reset-{name}"] = f"{reset:.3f}s"
        return found

    def least_seconds(self, requests: Sequence[Request]) -> float:
        """What a client would need that knows all of it, from its start on (no latency)."""
        start = 1000.0
        total = {"requests": float(len(requests)), "tokens": float(sum(r.cost for r in requests))}
        least = 0.0
        for name, most in self.most.items():
            windows = math.ceil(total[name] / most - 1e-9) - 1
            if windows <= 0:
                continue
            if self.shape == "fixed":
                edge = (
                    self.phase + (math.floor((start - self.phase) / self.window) + 1) * self.window
                )
                least = max(least, edge - start + (windows - 1) * self.window)
            elif self.shape == "two":
                least = max(least, (total[name] / most - 1) * self.window)
            else:
                least = max(least, windows * self.window)
        return least
