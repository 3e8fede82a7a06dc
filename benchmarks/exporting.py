"""How fast a finished job's vectors are written, read back from the database that it left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inputs import write_csv
from benchmarks.processes import run, serving
from benchmarks.results import Result, middle

_ROWS = 30_000
_REPETITIONS = 3
_LEAST = {"parquet": 50_000, "jsonl": 12_000}


def export(scale: float) -> Iterator[Result]:
    """Parquet and JSONL, 1,536 dimensions; without what the command takes for one row."""
    rows = round(_ROWS * scale)
    with TemporaryDirectory() as name, serving("-m", "benchmarks.instant") as server:
        directory = Path(name)
        job = _embed(directory, rows, server.base_url)
        single = _embed(directory, 1, server.base_url)
        for suffix, least in _LEAST.items():
            rates = []
            for _ in range(_REPETITIONS):
                begin = _seconds(directory, single, suffix)
                rates.append(rows / (_seconds(directory, job, suffix) - begin))
            yield Result(
                name=f"export of vectors to {suffix}",
                value=middle(rates),
                unit="rows/s",
                least=least,
                details={"rates": rates},
            )


def _embed(directory: Path, rows: int, base_url: str) -> str:
    """Embed so many rows; returns the job's id."""
    source = directory / f"{rows}.csv"
    write_csv(source, rows)
    options = ["--text", "text", "--id", "id", "--model", "text-embedding-3-small"]
    options += ["--base-url", base_url, "--quiet", "--json"]
    return str(run(["-m", "batcher", "run", "embed", str(source), *options], directory).json["job"])


def _seconds(directory: Path, job: str, suffix: str) -> float:
    target = directory / f"out.{suffix}"
    return run(["-m", "batcher", "export", job, "-o", str(target)], directory).seconds
