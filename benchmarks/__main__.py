"""``python -m benchmarks [NAME...]``: measure, print a table, keep the figures as JSON."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks import (
    crash,
    exporting,
    fleet,
    limits,
    memory,
    packing,
    postgres,
    reading,
    shared_throttle,
    startup,
    throughput,
    windows,
)
from benchmarks.results import Result

BENCHMARKS: Mapping[str, Callable[[float], Iterator[Result]]] = {
    "chat": throughput.chat,
    "embeddings": throughput.embeddings,
    "export": exporting.export,
    "reading": reading.reading,
    "packing": packing.packing,
    "memory": memory.memory,
    "packed": memory.packed,
    "crash": crash.crash,
    "startup": startup.startup,
    "limits": limits.known,
    "twice": limits.told_twice,
    "windows": windows.windows,
    "shared-throttle": shared_throttle.reservations,
    "postgres": postgres.postgres,
    "checkpoints": postgres.checkpoints,
    "fleet-limits": fleet.limits,
    "fleet-windows": windows.fleet_windows,
    "fleet-worker": fleet.worker,
    "fleet-submit": fleet.submit,
    "fleet-takeover": fleet.takeover,
}
_KEPT = Path(__file__).parent / "results.json"


def main() -> None:
    """Run those that were named, or all."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of rows")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    results: list[Result] = []
    for name in arguments.names or BENCHMARKS:
        for result in BENCHMARKS[name](arguments.scale):
            print(result.line(), flush=True)
            results.append(result)
    kept = {"machine": platform.platform(), "results": [result.to_json() for result in results]}
    _KEPT.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
