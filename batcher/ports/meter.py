"""What a process counts while it works, and how it is shown. Plain numbers: no lock and no I/O.

Written and read in one thread. Whatever names a figure is an id, a kind, a model or a word from a
closed list; nothing of a row, a prompt, a key or a provider's message.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

REQUEST_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
CHECKPOINT_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Fate(StrEnum):
    """How a request ended, as far as its answer goes."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"
    SERVER_ERROR = "server_error"
    GARBLED = "garbled"
    CONNECT = "connect"
    TIMEOUT = "timeout"
    DISCONNECT = "disconnect"
    TOO_LARGE = "answer_too_large"

    @staticmethod
    def of(status: int) -> Fate:
        """What an HTTP status says."""
        if 200 <= status < 300:
            return Fate.OK
        if status == 429:
            return Fate.RATE_LIMITED
        return Fate.REFUSED if status < 500 else Fate.SERVER_ERROR


class Histogram:
    """How many values were at most each of the bounds (inclusive), and above all of them."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """``bounds`` ascend."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def __repr__(self) -> str:
        return f"<Histogram of {sum(self.counts)}>"

    def add(self, value: float) -> None:
        """Count one more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


@dataclass(slots=True)
class Meter:
    """What was counted for the jobs of one kind and model since the process began.

    ``requests_ok`` stands apart from the other fates: it is the one that is counted often.
    """

    requests_ok: int = 0
    requests_failed: Counter[Fate] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_picousd: int = 0
    request_seconds: Histogram = field(default_factory=lambda: Histogram(REQUEST_SECONDS))
    checkpoint_seconds: Histogram = field(default_factory=lambda: Histogram(CHECKPOINT_SECONDS))
    rows_done: int = 0
    rows_dead: int = 0
    retries: int = 0
    throttle_waits: int = 0
    throttle_wait_seconds: float = 0.0
    pauses: int = 0
    pause_seconds: float = 0.0
    leases_lost: int = 0
    jobs_served: int = 0
    jobs_left: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    deliveries_failed: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure. ``suffix`` is added to the family's name (a histogram's ``_bucket``)."""

    labels: Mapping[str, str]
    value: float
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """All figures of one name, as Prometheus knows them."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFact:
    """One request that is over, for a trace.

    ``endpoint`` is the path that it went to; ``status`` is None where no answer came.
    """

    job: str
    kind: str
    endpoint: str
    model: str
    request: str
    fate: Fate
    status: int | None
    seconds: float
    prompt_tokens: int
    completion_tokens: int


class Trace(Protocol):
    """Where finished requests are told of one by one."""

    def request(self, fact: RequestFact) -> None:
        """Tell of one that ended just now. Never raises, never waits."""
        ...
