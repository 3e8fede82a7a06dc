"""What a killed run bills twice, by the provider's own count, and what the manifest says of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inputs import write_csv
from benchmarks.processes import run, serving, start
from benchmarks.results import Result

_ROWS = 4_000
_LATENCY_MS = 300
_IN_FLIGHT = 100
_CHECKPOINT_SECONDS = 0.25
_KILLED_AFTER = (0.3, 0.5, 0.7)  # of all requests


def crash(scale: float) -> Iterator[Result]:
    """SIGKILL a chat run with 100 requests in flight, again and again, then let it end."""
    rows = round(_ROWS * scale)
    simulator = ["-m", "batcher", "simulate", "--json", "--latency", str(_LATENCY_MS)]
    with TemporaryDirectory() as name, serving(*simulator) as server:
        directory = Path(name)
        source = directory / "input.csv"
        write_csv(source, rows)
        (directory / "prompt.txt").write_text("{{ text }}")
        options = ["--prompt", str(directory / "prompt.txt"), "--id", "id", "--quiet", "--json"]
        options += ["--model", "gpt-4o-mini", "--base-url", server.base_url]
        command = ["-m", "batcher", "run", "chat", str(source), *options]
        for share in _KILLED_AFTER:
            process = start(command, directory)
            while server.ask("/_stats")["distinct_inputs"] < share * rows:
                time.sleep(0.02)
            process.kill()
            process.wait()
        manifest = run(command, directory).json
        stats = server.ask("/_stats")
    kills = len(_KILLED_AFTER)
    interval = _CHECKPOINT_SECONDS * _IN_FLIGHT / (_LATENCY_MS / 1_000)
    twice = stats["requests_served_twice"]
    said = manifest["billed_twice_at_most"]
    details = {"stats": stats, "billed_twice_at_most": said}
    yield Result(
        name="crash: requests billed twice, a kill",
        value=twice / kills,
        most=_IN_FLIGHT + interval,
        details=details,
    )
    yield Result(
        name="crash: said to be billed twice, to the truth",
        value=said["requests"] / max(1, twice),
        least=1.0,
    )
    yield Result(
        name="crash: tokens said to be billed twice, to the truth",
        value=said["tokens"] / max(1, stats["tokens_served_twice"]),
        least=1.0,
    )
