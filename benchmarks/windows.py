"""Limits that are counted in windows of twenty seconds, against the least time possible.

The least is what a client would need that knows the windows: a window's worth at once, then one
more at each edge (fixed), or each time a window's length after the one before (sliding). What a
fixed window allows depends on how much of it is over when the run begins, so each limit is met at
chosen ages of its window, the last of them a second before an edge; the middle and the worst of
these runs count. From the first request to the last, by the provider's own count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.fleet import services
from benchmarks.inputs import write_csv
from benchmarks.processes import Server, run, serving
from benchmarks.results import Result, middle

_WINDOW = 20
_REQUESTS = 120
_WINDOWS = 3
_MAX_TOKENS = 100
_AGES = (0.0, 0.25, 0.5, 0.75, 0.95)
"""How much of a window is over when the first request comes."""
_LATENCY = ("--latency", "200", "--latency-spread", "0.4")
_AT_ONCE = 6
_WORKERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What is limited, how it is counted, and what answers tell of it."""

    shape: str
    tokens: bool
    told: str

    @property
    def name(self) -> str:
        """As the table has it."""
        return f"{self.shape} {'tpm' if self.tokens else 'rpm'}, {self.told}"

    @property
    def capacity(self) -> int:
        """What a window admits."""
        return _REQUESTS * (_MAX_TOKENS if self.tokens else 1)

    @property
    def most_ratio(self) -> float:
        """The time to be reached, to the least."""
        return 1.25 if self.told == "no headers" else 1.10

    @property
    def most_refused(self) -> float:
        """The share of 429s to be reached, in percent."""
        return 5.0 if self.told == "no headers" else 1.0

    def simulator(self, age: float) -> list[str]:
        """The command of a provider whose window has an age when the run begins."""
        per_minute = self.capacity * 60 // _WINDOW
        options = ["-m", "batcher", "simulate", "--json", *_LATENCY]
        options += ["--tpm" if self.tokens else "--rpm", str(per_minute)]
        options += ["--limit-shape", self.shape, "--window", str(_WINDOW)]
        options += ["--window-age", f"{age * _WINDOW:g}"]
        if self.told == "no headers":
            return [*options, "--no-headers"]
        return [*options, "--limit-unit", self.told.rpartition(" ")[2]]

    def least_seconds(self, stats: Mapping[str, Any], age: float) -> float:
        """The least time in which what was charged could be admitted."""
        charged: float = stats["tokens_charged"] if self.tokens else stats["requests_served"]
        further = math.ceil(charged / self.capacity - 1e-9) - 1
        return (further - (age if self.shape == "fixed" else 0.0)) * _WINDOW


LIMITS = [
    Limit(shape=shape, tokens=tokens, told=told)
    for shape in ("fixed", "sliding")
    for tokens in (False, True)
    for told in ("limit of a minute", "limit of a window", "no headers")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: its time to the least, and the percentage of its requests answered 429."""

    ratio: float
    refused: float
    details: Mapping[str, Any]


def windows(scale: float) -> Iterator[Result]:
    """One process; a smaller scale takes fewer ages."""
    yield from measure("", LIMITS, _ages(scale), _alone)


def fleet_windows(scale: float) -> Iterator[Result]:
    """Four workers."""
    with services() as here, here.workers(_WORKERS):

        def shared(limit: Limit, age: float) -> Measured:
            with serving(*limit.simulator(age)) as server, TemporaryDirectory() as name:
                job = here.batcher("submit", *_command(limit, Path(name), server))["job"]
                return _judge(limit, age, here.batcher("watch", job), server)

        yield from measure(f"{_WORKERS} workers, ", LIMITS, _ages(scale), shared)


def _ages(scale: float) -> Sequence[float]:
    return _AGES[:: max(1, round(1 / scale))]


def measure(
    prefix: str,
    limits: Sequence[Limit],
    ages: Sequence[float],
    run_one: Callable[[Limit, float], Measured],
) -> Iterator[Result]:
    """The middle and the worst time of each limit's runs, and what was answered 429 in all."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        pairs = [(limit, age) for limit in limits for age in ages]
        measured = dict(zip(pairs, threads.map(lambda pair: run_one(*pair), pairs), strict=True))
    for limit in limits:
        runs = [measured[limit, age] for age in ages]
        name = f"{prefix}{limit.name}"
        ratios = [one.ratio for one in runs]
        details = {"ages": list(ages), "runs": [one.details for one in runs]}
        yield Result(
            name=f"{name}: middle", value=middle(ratios), most=limit.most_ratio, details=details
        )
        yield Result(name=f"{name}: worst", value=max(ratios), most=limit.most_ratio)
        refused = sum(one.refused for one in runs) / len(runs)
        yield Result(name=f"{name}: answered 429", value=refused, unit="%", most=limit.most_refused)


def _command(limit: Limit, directory: Path, server: Server) -> list[str]:
    """What is run: three windows' worth of requests, or a little less of tokens."""
    source, prompt = directory / "input.csv", directory / "prompt.txt"
    write_csv(source, _WINDOWS * _REQUESTS)
    prompt.write_text("{{ text }}")
    command = ["chat", str(source), "--id", "id", "--prompt", str(prompt), "--max-tokens"]
    return [*command, str(_MAX_TOKENS), "--model", "gpt-4o-mini", "--base-url", server.base_url]


def _alone(limit: Limit, age: float) -> Measured:
    with serving(*limit.simulator(age)) as server, TemporaryDirectory() as name:
        directory = Path(name)
        command = ["run", *_command(limit, directory, server), "--quiet", "--json"]
        report = run(["-m", "batcher", *command], directory).json
        return _judge(limit, age, report, server)


def _judge(limit: Limit, age: float, report: Mapping[str, Any], server: Server) -> Measured:
    stats = server.ask("/_stats")
    if report["rows"]["done"] != _WINDOWS * _REQUESTS:
        raise RuntimeError(f"{limit.name}: some rows failed: {report}")
    took = stats["last_request_at"] - stats["first_request_at"]
    least = limit.least_seconds(stats, age)
    refused = 100 * stats["rate_limited"] / stats["requests"]
    details = {"age": age, "seconds": took, "least_seconds": least, "refused": refused}
    return Measured(ratio=took / least, refused=refused, details={**details, "stats": stats})
