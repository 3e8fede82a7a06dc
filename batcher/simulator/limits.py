"""Rate limits as a provider enforces them: buckets that refill continuously, or windows.

Decides whether a request is admitted, and what the headers say about it. Pure
arithmetic: the time comes in as a parameter, in seconds of any steady clock. Written
apart from the client's throttle on purpose: the one is the test of the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from batcher.simulator.windows import FixedWindow, SlidingWindow

Dimension = Literal["requests", "tokens"]
Shape = Literal["bucket", "fixed", "sliding"]
LimitUnit = Literal["minute", "window"]

_EPSILON = 1e-6
"""Rounding that is forgiven: a client that waited exactly as told must be admitted."""


class Bucket:
    """A bucket of `per_minute * bucket_seconds / 60` that starts full and refills evenly.

    Holds at least one unit, or a slow rate in a short bucket could never admit anything.
    The level may become negative (`take` never refuses): a debt that refilling pays first.
    """

    __slots__ = ("_at", "_level", "_rate", "capacity", "per_minute")

    def __init__(
        self, per_minute: float, bucket_seconds: float, now: float, age: float | None = None
    ) -> None:
        del age
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self.capacity = max(1.0, self._rate * bucket_seconds)
        self._level = self.capacity
        self._at = now

    def __repr__(self) -> str:
        return f"<Bucket {self._level:g} of {self.capacity:g}, {self.per_minute:g} a minute>"

    def level(self, now: float) -> float:
        """Return what the bucket holds at `now`; a clock that steps back changes nothing."""
        if now > self._at:
            self._level = min(self.capacity, self._level + (now - self._at) * self._rate)
            self._at = now
        return self._level

    def take(self, amount: float, now: float) -> None:
        """Take `amount`; a negative one is given back, up to the capacity."""
        self._level = min(self.capacity, self.level(now) - amount)

    def wait_seconds(self, amount: float, now: float) -> float:
        """Return the time until the bucket holds `amount`; 0 where it does already."""
        missing = amount - self.level(now)
        return missing / self._rate if missing > _EPSILON else 0.0

    def change(self, per_minute: float, bucket_seconds: float, now: float) -> None:
        """Set another rate and capacity; what is held stays, up to the new capacity."""
        self.level(now)
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self.capacity = max(1.0, self._rate * bucket_seconds)
        self._level = min(self.capacity, self._level)

    def remaining(self, now: float) -> int:
        """Return the whole units held, as a header tells them: never negative."""
        return max(0, math.floor(self.level(now) + _EPSILON))

    def full_in_seconds(self, now: float) -> float:
        """Return the time until the bucket is full."""
        return (self.capacity - self.level(now)) / self._rate


Counter = Bucket | FixedWindow | SlidingWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a request was not admitted.

    `limit` is the figure that the headers tell, `used` what is missing. Where `too_large`, no wait
    helps, and `limit` is the capacity: the most that one request may cost.
    """

    dimension: Dimension
    limit: int
    used: int
    requested: int
    wait_seconds: float
    too_large: bool = False


class Limiter:
    """The limits of requests and of tokens of one model; a limit of None is not enforced.

    `seconds` is the capacity of buckets in seconds of their rate, or the length of windows; `age`
    is how old a fixed window is at the start.
    """

    __slots__ = ("age", "requests", "shape", "tokens", "unit")

    def __init__(
        self,
        rpm: float | None,
        tpm: float | None,
        seconds: float,
        now: float,
        *,
        shape: Shape = "bucket",
        unit: LimitUnit = "minute",
        age: float | None = None,
    ) -> None:
        self.shape = shape
        self.unit = unit
        self.age = age
        self.requests = _new(shape, rpm, seconds, now, age)
        self.tokens = _new(shape, tpm, seconds, now, age)

    def admit(self, cost: int, now: float) -> Rejection | None:
        """Take one request and `cost` tokens, or take nothing and say why."""
        requests, tokens = self.requests, self.tokens
        if tokens is not None and cost > tokens.capacity + _EPSILON:
            return Rejection(
                dimension="tokens",
                limit=math.floor(tokens.capacity),
                used=0,
                requested=cost,
                wait_seconds=tokens.full_in_seconds(now),
                too_large=True,
            )
        request_wait = 0.0 if requests is None else requests.wait_seconds(1, now)
        token_wait = 0.0 if tokens is None else tokens.wait_seconds(cost, now)
        if requests is not None and request_wait > 0 and request_wait >= token_wait:
            return _rejection("requests", self._stated(requests), requests, 1, request_wait, now)
        if tokens is not None and token_wait > 0:
            return _rejection("tokens", self._stated(tokens), tokens, cost, token_wait, now)
        self.charge(cost, now, requests=1)
        return None

    def charge(self, tokens: int, now: float, *, requests: int = 0) -> None:
        """Take without asking; negative amounts are given back."""
        if self.requests is not None and requests:
            self.requests.take(requests, now)
        if self.tokens is not None and tokens:
            self.tokens.take(tokens, now)

    def change(
        self,
        rpm: float | None,
        tpm: float | None,
        seconds: float,
        now: float,
        *,
        shape: Shape = "bucket",
        unit: LimitUnit = "minute",
    ) -> None:
        """Enforce other limits from now on; one that is new, or of a new shape, starts afresh."""
        same = shape == self.shape
        self.shape, self.unit = shape, unit
        requests, tokens = (self.requests, self.tokens) if same else (None, None)
        self.requests = _changed(requests, shape, rpm, seconds, now, self.age)
        self.tokens = _changed(tokens, shape, tpm, seconds, now, self.age)

    def headers(self, now: float) -> dict[str, str]:
        """Return the `x-ratelimit-*` headers of the limits that are enforced."""
        headers: dict[str, str] = {}
        for name, counter in (("requests", self.requests), ("tokens", self.tokens)):
            if counter is not None:
                headers[f"x-ratelimit-limit-{name}"] = str(self._stated(counter))
                headers[f"x-ratelimit-remaining-{name}"] = str(counter.remaining(now))
                headers[f"x-ratelimit-reset-{name}"] = duration(counter.full_in_seconds(now))
        return headers

    def _stated(self, counter: Counter) -> int:
        """The limit as a header tells it."""
        return math.floor(counter.per_minute if self.unit == "minute" else counter.capacity)


def duration(seconds: float) -> str:
    """Write a time as OpenAI does ("120ms", "1.5s", "6m0s", "1h0m0s"), rounded up to 1 ms."""
    milliseconds = max(0, math.ceil(seconds * 1000 - _EPSILON))
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return text


def _rejection(
    dimension: Dimension,
    limit: int,
    counter: Counter,
    requested: int,
    wait_seconds: float,
    now: float,
) -> Rejection:
    return Rejection(
        dimension=dimension,
        limit=limit,
        used=max(0, limit - counter.remaining(now)),
        requested=requested,
        wait_seconds=wait_seconds,
    )


def _new(
    shape: Shape, per_minute: float | None, seconds: float, now: float, age: float | None
) -> Counter | None:
    if per_minute is None:
        return None
    kinds: Mapping[Shape, type[Bucket] | type[FixedWindow] | type[SlidingWindow]] = {
        "bucket": Bucket,
        "fixed": FixedWindow,
        "sliding": SlidingWindow,
    }
    return kinds[shape](per_minute, seconds, now, age)


def _changed(
    counter: Counter | None,
    shape: Shape,
    per_minute: float | None,
    seconds: float,
    now: float,
    age: float | None,
) -> Counter | None:
    if per_minute is None or counter is None:
        return _new(shape, per_minute, seconds, now, age)
    counter.change(per_minute, seconds, now)
    return counter
