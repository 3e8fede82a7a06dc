"""How fast rows go through where the provider takes no time, against a bare client.

From the first request to the last, as the server saw them. Both clients take turns, and the figure
is the median of the ratios of the pairs: the machine's mood changes slower than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inputs import write_csv
from benchmarks.processes import Server, run, serving
from benchmarks.results import Result, middle

_CHAT_ROWS = 20_000
_EMBEDDINGS_ROWS = 100_000
_INPUTS = 128
_REPETITIONS = 5
_MODELS = {"chat": "gpt-4o-mini", "embed": "text-embedding-3-small"}


def chat(scale: float) -> Iterator[Result]:
    """One request a row."""
    yield from _measure("chat", round(_CHAT_ROWS * scale), least=0.5)


def embeddings(scale: float) -> Iterator[Result]:
    """128 rows a request, 1,536 dimensions, base64."""
    yield from _measure("embed", round(_EMBEDDINGS_ROWS * scale), least=0.45)


def _measure(kind: str, rows: int, *, least: float) -> Iterator[Result]:
    floors: list[float] = []
    ours: list[float] = []
    with TemporaryDirectory() as name, serving("-m", "benchmarks.instant") as server:
        directory = Path(name)
        source = directory / "input.csv"
        write_csv(source, rows)
        (directory / "prompt.txt").write_text("{{ text }}")
        for _ in range(_REPETITIONS):
            floor = [kind, str(source), server.base_url, _MODELS[kind], str(_INPUTS)]
            floors.append(_rate(directory, server, rows, ["-m", "benchmarks.floor", *floor]))
            ours.append(_rate(directory, server, rows, _batcher(kind, directory, source, server)))
    ratio = middle([mine / floor for mine, floor in zip(ours, floors, strict=True)])
    details = {"floor": floors, "batcher": ours}
    yield Result(name=f"{kind}: speed, to the floor's", value=ratio, least=least, details=details)
    yield Result(name=f"{kind}: batcher", value=middle(ours), unit="rows/s")
    yield Result(name=f"{kind}: floor", value=middle(floors), unit="rows/s")


def _batcher(kind: str, directory: Path, source: Path, server: Server) -> list[str]:
    options = ["--id", "id", "--model", _MODELS[kind], "--base-url", server.base_url, "--quiet"]
    if kind == "chat":
        options += ["--prompt", str(directory / "prompt.txt")]
    else:
        options += ["--text", "text", "--max-inputs", str(_INPUTS)]
    return ["-m", "batcher", "run", kind, str(source), *options]


def _rate(directory: Path, server: Server, rows: int, command: list[str]) -> float:
    """Rows a second from the first request to the last."""
    with TemporaryDirectory(dir=directory) as state:
        server.ask("/_reset")
        run(command, Path(state))
        seen = server.ask("/_stats")
    if seen["inputs"] != rows:
        raise RuntimeError(f"{seen['inputs']} inputs were sent, not {rows}")
    return float(rows / (seen["last_at"] - seen["first_at"]))
