"""How long the command line takes to say anything at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import run
from benchmarks.results import Result, middle

_REPETITIONS = 15


def startup(scale: float) -> Iterator[Result]:
    """``batcher --help``, the median of a few."""
    del scale
    with TemporaryDirectory() as name:
        times = [run(["-m", "batcher", "--help"], Path(name)).seconds for _ in range(_REPETITIONS)]
    yield Result(name="batcher --help", value=1_000 * middle(times), unit="ms", most=300.0)
