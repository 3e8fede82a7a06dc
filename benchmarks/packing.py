"""How few requests are made of the rows: what is planned, against the least that the limits allow.

The least is what the inputs or the tokens of all rows fill, whichever is more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inputs import write_csv, write_long_csv
from benchmarks.processes import run
from benchmarks.results import Result

_MAX_INPUTS = 2_048
_MAX_TOKENS = 300_000
_SHORT_ROWS = 100_000
_LONG_ROWS = 20_000


def packing(scale: float) -> Iterator[Result]:
    """Short rows fill requests by their number, long ones of many lengths by their tokens."""
    yield _measure("short rows", write_csv, round(_SHORT_ROWS * scale))
    yield _measure("long rows", write_long_csv, round(_LONG_ROWS * scale))


def _measure(name: str, write: Callable[[Path, int], None], rows: int) -> Result:
    with TemporaryDirectory() as place:
        source = Path(place) / "input.csv"
        write(source, rows)
        options = ["--text", "text", "--model", "text-embedding-3-small", "--json"]
        figures = run(
            ["-m", "batcher", "estimate", "embed", str(source), *options], Path(place)
        ).json
    tokens = figures["tokens"]["prompt"]
    least = max(math.ceil(rows / _MAX_INPUTS), math.ceil(tokens / _MAX_TOKENS))
    return Result(
        name=f"packing of {name}: requests, to the least",
        value=figures["requests"] / least,
        most=1.02,
        details={"requests": figures["requests"], "least": least, "tokens": tokens},
    )
