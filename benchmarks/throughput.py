"""How fast rows go through where the provider takes no time, against a bare client.

From the first request to the last, as the server saw them. Both clients take turns, and the figure
is the median of the ratios of the pairs: the machine's mood changes slower than that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
    with TemporaryDirectory() as name, serving("benchmarks.instant") as server:
        directory = Path(name)
        source = directory / "input.csv"
        write_csv(source, rows)
        spec = _spec(kind, directory, source, server)
        for _ in range(_REPETITIONS):
            floors.append(_floor(kind, directory, source, server, rows))
            ours.append(_batcher(directory, spec, server, rows))
    ratio = middle([mine / floor for mine, floor in zip(ours, floors, strict=True)])
    details = {"floor": floors, "batcher": ours}
    yield Result(name=f"{kind}: speed, to the floor's", value=ratio, least=least, details=details)
    yield Result(name=f"{kind}: batcher", value=middle(ours), unit="rows/s")
    yield Result(name=f"{kind}: floor", value=middle(floors), unit="rows/s")


def _spec(kind: str, directory: Path, source: Path, server: Server) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "kind": kind,
        "input": str(source),
        "model": _MODELS[kind],
        "id": "id",
        "base_url": f"{server.url}/v1",
        "options": {"text": "text"},
        "max_inputs": _INPUTS,
    }
    if kind == "chat":
        prompt = directory / "prompt.txt"
        prompt.write_text("{{ text }}")
        spec |= {"options": {"prompt": str(prompt)}, "max_inputs": None}
    return spec


def _batcher(directory: Path, spec: dict[str, Any], server: Server, rows: int) -> float:
    with TemporaryDirectory(dir=directory) as state:
        server.ask("/_reset")
        run(["-m", "benchmarks.job", json.dumps(spec), ""], Path(state))
        return _rows_per_second(server, rows)


def _floor(kind: str, directory: Path, source: Path, server: Server, rows: int) -> float:
    with TemporaryDirectory(dir=directory) as state:
        server.ask("/_reset")
        url = f"{server.url}/v1"
        run(
            ["-m", "benchmarks.floor", kind, str(source), url, _MODELS[kind], str(_INPUTS)],
            Path(state),
        )
        return _rows_per_second(server, rows)


def _rows_per_second(server: Server, rows: int) -> float:
    seen = server.ask("/_stats")
    if seen["inputs"] != rows:
        raise RuntimeError(f"{seen['inputs']} inputs were sent, not {rows}")
    return float(rows / (seen["last_at"] - seen["first_at"]))
