"""How long the command line takes to say anything at all, and to begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inputs import write_jsonl
from benchmarks.processes import run
from benchmarks.results import Result, middle

_REPETITIONS = 15
_RUN = (
    "run", "embed", "in.jsonl", "--text", "text", "--model", "text-embedding-3-small",
    "--simulate", "-o", "out.jsonl", "--fresh", "--quiet",
)  # fmt: skip


def startup(scale: float) -> Iterator[Result]:
    """``--help``, a list of jobs, and a whole run of 100 simulated rows; the median of a few."""
    del scale
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_jsonl(folder / "in.jsonl", 100)
        yield _result("batcher --help", folder, ["--help"], most=300.0)
        yield _result("batcher run, 100 simulated rows", folder, _RUN, most=900.0)
        yield _result("batcher jobs", folder, ["jobs"], most=350.0)


def _result(name: str, folder: Path, arguments: Sequence[str], *, most: float) -> Result:
    command = ["-m", "batcher", *arguments]
    times = [run(command, folder).seconds for _ in range(_REPETITIONS)]
    return Result(name=name, value=1_000 * middle(times), unit="ms", most=most)
