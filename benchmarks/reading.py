"""How fast an input is checked and planned, with nothing else going on; informs only.

Started as a module it does both once, in a fresh process, and prints the seconds as JSON.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.inputs import write_csv, write_jsonl
from benchmarks.processes import run
from benchmarks.results import Result, middle

_ROWS = 300_000
_REPETITIONS = 3
_CHECK_LEAST = 500_000


def reading(scale: float) -> Iterator[Result]:
    """CSV and JSONL of short rows: the check alone, then the plan alone."""
    rows = round(_ROWS * scale)
    with TemporaryDirectory() as name:
        for suffix, write in (("csv", write_csv), ("jsonl", write_jsonl)):
            source = Path(name) / f"input.{suffix}"
            write(source, rows)
            times = [
                run(["-m", "benchmarks.reading", str(source)], Path(name)).json
                for _ in range(_REPETITIONS)
            ]
            yield Result(
                name=f"check of {suffix}",
                value=rows / middle([seconds["check"] for seconds in times]),
                unit="rows/s",
                least=_CHECK_LEAST,
            )
            yield Result(
                name=f"planning of {suffix}, embeddings",
                value=rows / middle([seconds["plan"] for seconds in times]),
                unit="rows/s",
            )


def main(path: str) -> None:
    """Check a file, plan it, and print what each took."""
    from batcher.adapters import sources
    from batcher.adapters.providers.catalog import model_facts
    from batcher.adapters.providers.tokenizer import open_tokenizer
    from batcher.adapters.system.installed_kinds import InstalledKinds
    from batcher.core.job.spec import JobSpec
    from batcher.engine.opening.binding import bind, new_job

    spec = JobSpec(
        kind="embed",
        input=path,
        model="text-embedding-3-small",
        options={"text": "text"},
        id="id",
    )
    kind = InstalledKinds().get(spec.kind)
    bound = bind(
        spec,
        kind=kind,
        facts_of=lambda endpoint: model_facts(spec.model, endpoint, spec.base_url),
        tokenizer=open_tokenizer(spec.model),
        files={},
    )
    with sources.open_source(path, spool_dir=Path()) as source:
        started = time.perf_counter()
        facts = source.check(id_column="id", columns=("text",), skip_bad=False)
        checked = time.perf_counter()
        job = new_job(bound, facts, now=datetime.now(UTC), noise=random.getrandbits(16), version="")
        planner = bound.planner(source, facts.rows, job)
        while planner.next_shard() is not None:
            pass
        planned = time.perf_counter()
    print(json.dumps({"check": checked - started, "plan": planned - checked}))


if __name__ == "__main__":
    main(sys.argv[1])
