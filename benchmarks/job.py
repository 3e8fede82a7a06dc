"""Run one job as the command line would: ``python -m benchmarks.job SPEC OUTPUT``; prints JSON."""

from __future__ import annotations

import json
import sys

import uvloop

from batcher.core.spec import JobSpec
from batcher.wiring import open_runner


async def main(spec: JobSpec, output: str | None) -> None:
    """Run the job to its end."""
    async with open_runner() as runner:
        report = await runner.run(spec, output=output)
    print(json.dumps(report.to_json()))


if __name__ == "__main__":
    _, plain, output = sys.argv
    uvloop.run(main(JobSpec.from_json(json.loads(plain)), output or None))
