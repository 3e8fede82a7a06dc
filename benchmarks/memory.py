"""Whether memory grows with the number of rows, or with what comes in: peak of a whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inputs import write_csv
from benchmarks.processes import run, serving
from benchmarks.results import Result

_FEW = 20_000
_MANY = 1_000_000
_MANY_PACKED = 200_000
_MEGABYTE = 1e6


def memory(scale: float) -> Iterator[Result]:
    """Short rows, 128 a request, vectors of 64 numbers, exported to Parquet."""
    with TemporaryDirectory() as name, serving("-m", "benchmarks.instant", "64") as server:
        few = _peak_bytes(Path(name), _FEW, server.base_url)
        many = _peak_bytes(Path(name), max(_FEW, round(_MANY * scale)), server.base_url)
    yield Result(
        name="memory: 1,000,000 rows, above 20,000",
        value=(many - few) / _MEGABYTE,
        unit="MB",
        most=40.0,
    )
    yield Result(name="memory: peak at 20,000 rows", value=few / _MEGABYTE, unit="MB")


def packed(scale: float) -> Iterator[Result]:
    """Answers of 17 MB, 2,048 vectors of 1,536 numbers, from a provider that takes no time."""
    with TemporaryDirectory() as name, serving("-m", "batcher", "simulate", "--json") as server:
        many = max(_FEW, round(_MANY_PACKED * scale))
        small, large = (
            _peak_bytes(Path(name), rows, server.base_url, words=12, inputs=2_048, output=False)
            for rows in (_FEW, many)
        )
    yield Result(
        name="memory: packed embeddings, peak of 200,000 rows",
        value=large / _MEGABYTE,
        unit="MB",
        most=300.0,
    )
    yield Result(
        name="memory: packed embeddings, above 20,000 rows",
        value=(large - small) / _MEGABYTE,
        unit="MB",
        most=40.0,
    )


def _peak_bytes(
    directory: Path,
    rows: int,
    base_url: str,
    *,
    words: int = 5,
    inputs: int = 128,
    output: bool = True,
) -> int:
    source = directory / f"{rows}.csv"
    write_csv(source, rows, words=words)
    options = ["--text", "text", "--id", "id", "--model", "text-embedding-3-small"]
    options += ["--max-inputs", str(inputs), "--base-url", base_url, "--quiet"]
    if output:
        options += ["-o", str(directory / f"{rows}.parquet")]
    return run(["-m", "batcher", "run", "embed", str(source), *options], directory).peak_bytes
