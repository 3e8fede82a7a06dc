"""Runs of about a minute that a provider's limit binds, against the least time possible.

The least time is what the limit leaves: all that was charged, less what the bucket held at the
start, at the limit's rate; from the first request to the last, by the provider's own count. The
runs go on side by side: each takes a few hundredths of a processor. Limits that are counted in
windows have a benchmark of their own (:mod:`benchmarks.windows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.inputs import write_csv
from benchmarks.processes import run, serving
from benchmarks.results import Result

_SECONDS = 60
_REQUESTS_PER_SECOND = 10
_MAX_TOKENS = 100
_USUAL_TOKENS = 40  # charged for a request of these rows without max_tokens
_LATENCY = ("--latency", "200", "--latency-spread", "0.4")
_AT_ONCE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run: which limit binds, how large its bucket is, and what the client knows of it."""

    name: str
    tokens: bool
    max_tokens: bool = True
    bucket_seconds: int = 60
    headers: bool = True
    told_twice: bool = False
    most_ratio: float = 1.03
    most_refused: float = 0.001

    @property
    def per_minute(self) -> int:
        """The limit, such that about ten requests a second fit into it."""
        cost = 1 if not self.tokens else _MAX_TOKENS if self.max_tokens else _USUAL_TOKENS
        return 60 * _REQUESTS_PER_SECOND * cost

    @property
    def capacity(self) -> float:
        """What the bucket holds."""
        return self.per_minute * self.bucket_seconds / 60

    @property
    def rows(self) -> float:
        """Requests for a full bucket and a minute."""
        return (self.bucket_seconds + _SECONDS) * _REQUESTS_PER_SECOND

    @property
    def simulator(self) -> list[str]:
        """The options of the simulator."""
        options = [self.flag, str(self.per_minute), "--bucket-seconds", str(self.bucket_seconds)]
        return options if self.headers else [*options, "--no-headers"]

    def least_seconds(self, stats: Mapping[str, Any]) -> float:
        """The least time in which what was charged could be admitted."""
        charged = stats["tokens_charged"] if self.tokens else stats["requests_served"]
        return float(charged - self.capacity) / (self.per_minute / 60)

    @property
    def flag(self) -> str:
        """The limit's flag, of the simulator and of the client."""
        return "--tpm" if self.tokens else "--rpm"


def known(scale: float) -> Iterator[Result]:
    """Headers tell the limit, and the client is told nothing else."""
    yield from _measure(
        [
            Scenario(
                name=f"{kind}, bucket {seconds} s",
                bucket_seconds=seconds,
                tokens=kind != "rpm",
                max_tokens=kind != "tpm, no max_tokens",
            )
            for seconds in (60, 6)
            for kind in ("rpm", "tpm, max_tokens sent", "tpm, no max_tokens")
        ],
        scale,
    )


def told_twice(scale: float) -> Iterator[Result]:
    """The client is told twice the limit, with a bucket of six seconds."""
    yield from _measure(
        [
            Scenario(
                name=f"{'tpm' if tokens else 'rpm'} told twice, {'' if headers else 'no '}headers",
                tokens=tokens,
                headers=headers,
                bucket_seconds=6,
                told_twice=True,
                most_ratio=1.05 if headers else 1.15,
                most_refused=0.01 if headers else 0.05,
            )
            for headers in (True, False)
            for tokens in (False, True)
        ],
        scale,
    )


def _measure(scenarios: Sequence[Scenario], scale: float) -> Iterator[Result]:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for results in threads.map(lambda scenario: _run(scenario, scale), scenarios):
            yield from results


def _run(scenario: Scenario, scale: float) -> list[Result]:
    rows = round(scenario.rows * scale)
    limit = scenario.per_minute
    simulator = ["-m", "batcher", "simulate", "--json", *_LATENCY, *scenario.simulator]
    with TemporaryDirectory() as name, serving(*simulator) as server:
        directory = Path(name)
        source = directory / "input.csv"
        write_csv(source, rows)
        (directory / "prompt.txt").write_text("{{ text }}")
        options = ["--id", "id", "--prompt", str(directory / "prompt.txt")]
        options += ["--model", "gpt-4o-mini", "--base-url", server.base_url, "--quiet", "--json"]
        if scenario.max_tokens:
            options += ["--max-tokens", str(_MAX_TOKENS)]
        if scenario.told_twice:
            options += [scenario.flag, str(2 * limit)]
        ended = run(["-m", "batcher", "run", "chat", str(source), *options], directory)
        stats = server.ask("/_stats")
    if ended.json["rows"]["done"] != rows:
        raise RuntimeError(f"{scenario.name}: some rows failed: {ended.output}")
    least = scenario.least_seconds(stats)
    took = stats["last_request_at"] - stats["first_request_at"]
    details = {"seconds": took, "least_seconds": least, "stats": stats}
    return [
        Result(
            name=f"{scenario.name}: time, to the least",
            value=took / least,
            most=scenario.most_ratio,
            details=details,
        ),
        Result(
            name=f"{scenario.name}: answered 429",
            value=100 * stats["rate_limited"] / stats["requests"],
            unit="%",
            most=100 * scenario.most_refused,
        ),
    ]
