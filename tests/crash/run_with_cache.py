"""One job with a cache in its own database: a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from batcher.core.job.spec import JobSpec
from batcher.core.kind import Shape
from batcher.settings import Settings
from batcher.wiring import open_runner
from tests.engine.reuse.caching import make_database, with_cache


async def main(database: str, source: str, base_url: str) -> None:
    """Run the job, to its end or to that of this process."""
    spec = JobSpec(
        kind="classify",
        input=source,
        options={"text": "text", "labels": "red,green,blue"},
        model="gpt-4o",
        base_url=base_url,
        concurrency=8,
    )
    await make_database(Path(database))
    async with open_runner(Settings(database_url=database)) as runner:
        cached, _ = with_cache(runner, Path(database), Shape.JSON)
        await cached.run(spec, output=None)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
