"""A job left to workers: planned where its input is, which need not be a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from batcher.adapters.sources.tables import open_rows
from batcher.core.errors import InputError
from batcher.core.job.delivery import DeliverySpec
from batcher.ports import InputSource
from tests.engine.fleet.crew import Events, worker
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, read_lines, words

ROWS = [{"id": f"r{number}", "text": text} for number, text in enumerate(words(60))]


def given(work: Work, rows: list[dict[str, str]] = ROWS) -> InputSource:
    return open_rows(iter(rows), name="rows", spool_dir=work.path("spool"))


@in_virtual_time
async def test_rows_from_memory_are_planned_here_and_sent_and_delivered_by_workers(
    here: Path,
) -> None:
    database = f"sqlite:///{here}/batcher.db"
    async with open_work(here, database=database) as work:
        spec = work.chat("rows")
        delivery = DeliverySpec(output=str(work.path("out.jsonl")))
        report = await work.runner.submit(spec, source=given(work), delivery=delivery)
        again = await work.runner.submit(spec, source=given(work), delivery=delivery)
        assert again.job == report.job
        async with worker(database, Events()):
            await work.runner.watch(report.job, on_live=lambda live: None)
    assert [record["id"] for record in read_lines(here / "out.jsonl")] == [r["id"] for r in ROWS]
    assert not list((here / "spool").glob("*")), "the source is closed"


@in_virtual_time
async def test_a_source_that_is_refused_is_closed(here: Path) -> None:
    async with open_work(here) as work:
        bad = [*ROWS, {"id": "r0", "text": "its id was there before"}]
        with pytest.raises(InputError):
            await work.runner.submit(work.chat("rows"), source=given(work, bad))
    assert not list((here / "spool").glob("*"))
