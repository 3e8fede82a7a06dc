"""Two jobs of one runner on one limit: each gets the part that its priority gives it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from batcher.core.throttle.sharing import WEIGHTS
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import open_work, words

RPM = 600
ROWS = 300


@pytest.mark.parametrize(("small", "big"), [("normal", "normal"), ("high", "low"), ("low", "high")])
@in_virtual_time
async def test_a_job_that_comes_later_is_done_in_its_part_of_the_limit(
    here: Path, small: str, big: str
) -> None:
    async with open_work(here, rpm=RPM) as work:
        texts = work.write(list(words(4000)), "backfill.jsonl")
        backfill = asyncio.ensure_future(
            work.run(work.chat(texts, max_tokens=5, priority=big), output="backfill.out.jsonl")
        )
        while work.stats.requests < 1.2 * RPM:  # what the bucket held is used up
            await asyncio.sleep(1)
        started, before = work.now(), work.stats.requests
        ran = await work.run(work.chat(list(words(ROWS)), max_tokens=5, priority=small))
        took = work.now() - started
        assert ran.report.rows_done == ROWS
        served = work.stats.requests - before
        assert served == pytest.approx(took * RPM / 60, rel=0.05)
        fair = ROWS / (RPM / 60) * (WEIGHTS[small] + WEIGHTS[big]) / WEIGHTS[small]
        assert took <= 1.05 * fair + 2  # the first answer, and the files
        backfill.cancel()
        await asyncio.gather(backfill, return_exceptions=True)
