"""How fast a finished job's vectors are written, read back from the database that it left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inputs import write_csv
from benchmarks.processes import Ended, run, serving
from benchmarks.results import Result, middle

_ROWS = 100_000
_REPETITIONS = 3
_BATCH_ROWS = 1_000
_VECTOR_BYTES = 4 * 1_536
_LEAST = {"parquet": 50_000, "jsonl": 12_000}


def export(scale: float) -> Iterator[Result]:
    """Parquet and JSONL, 1,536 dimensions; without what the command takes for one row."""
    rows = round(_ROWS * scale)
    with TemporaryDirectory() as name, serving("-m", "benchmarks.instant") as server:
        directory = Path(name)
        job = _embed(directory, rows, server.base_url)
        single = _embed(directory, 1, server.base_url)
        plain = [rows / _plain_seconds(directory / "plain", rows) for _ in range(_REPETITIONS)]
        yield Result(name="the same bytes to a plain file", value=middle(plain), unit="rows/s")
        for suffix, least in _LEAST.items():
            rates, work = [], []
            for _ in range(_REPETITIONS):
                begin = _export(directory, single, suffix)
                ended = _export(directory, job, suffix)
                rates.append(rows / (ended.seconds - begin.seconds))
                work.append(rows / (ended.cpu_seconds - begin.cpu_seconds))
            yield Result(
                name=f"export of vectors to {suffix}",
                value=middle(rates),
                unit="rows/s",
                least=least,
                details={"rates": rates},
            )
            yield Result(
                name=f"export of vectors to {suffix}, by processor time",
                value=middle(work),
                unit="rows/s",
            )


def _embed(directory: Path, rows: int, base_url: str) -> str:
    """Embed so many rows; returns the job's id."""
    source = directory / f"{rows}.csv"
    write_csv(source, rows)
    options = ["--text", "text", "--id", "id", "--model", "text-embedding-3-small"]
    options += ["--base-url", base_url, "--quiet", "--json"]
    return str(run(["-m", "batcher", "run", "embed", str(source), *options], directory).json["job"])


def _export(directory: Path, job: str, suffix: str) -> Ended:
    target = directory / f"out.{suffix}"
    target.unlink(missing_ok=True)  # letting go of the former file's pages takes 0.1 s
    return run(["-m", "batcher", "export", job, "-o", str(target)], directory)


def _plain_seconds(path: Path, rows: int) -> float:
    """How long the disk takes for the vectors' bytes alone."""
    block = bytes(_BATCH_ROWS * _VECTOR_BYTES)
    started = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(rows // _BATCH_ROWS):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    path.unlink()
    return seconds
