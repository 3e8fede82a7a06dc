"""One job whose calls are sent in groups, by a route of the tests: a process of its own."""

from __future__ import annotations

import asyncio
import sys

from batcher.core.job.spec import JobSpec
from batcher.settings import Settings
from batcher.wiring import open_runner
from tests.engine.routes.collecting_route import Terms, collecting


async def main(database: str, source: str, base_url: str, output: str) -> None:
    """Run the job, to its end or to that of this process."""
    spec = JobSpec(
        kind="embed",
        input=source,
        options={"text": "text"},
        model="text-embedding-3-small",
        base_url=base_url,
        max_inputs=2,
    )
    terms = Terms(size=12, most_seconds=0.2, linger_seconds=0.05)
    with collecting(terms):
        async with open_runner(Settings(database_url=database)) as runner:
            await runner.run(spec, output=output)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
