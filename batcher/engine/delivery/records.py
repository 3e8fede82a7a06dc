"""A job's records as values: batch by batch, one by one, or as one table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, get_args

from batcher.core.errors import RowsWithoutResult, UsageError
from batcher.core.job.description import Description
from batcher.core.model import Job, JobState
from batcher.engine.delivery.exporter import batches, output_schema
from batcher.engine.job.report import rows_total
from batcher.engine.job.results import Failed, Result, results_of
from batcher.engine.services import Files
from batcher.ports import OutputBatch, Store


class Records:
    """Reads what jobs made."""

    def __init__(self, store: Store, files: Files) -> None:
        """``files`` makes the tables."""
        self._store = store
        self._files = files

    async def batches(self, job_id: str, failed: Failed) -> AsyncGenerator[OutputBatch, None]:
        """The records, in input order, a batch a shard.

        Raises:
            RowsWithoutResult: there is such a row, and ``failed`` is ``raise``; or its place is not
                known yet, and ``failed`` is ``null``.
        """
        job = await self._store.job(job_id)
        described = job.description
        await self._check(job, described, failed)
        async with aclosing(
            batches(self._store, job, described, every_row=failed == "null")
        ) as read:
            async for batch in read:
                yield batch

    async def fields(self, job_id: str) -> list[str]:
        """The names of what :attr:`batcher.engine.job.results.Result.value` holds."""
        described = (await self._store.job(job_id)).description
        return [field.name for field in described.fields if field.type != "vector"]

    async def results(self, job_id: str, failed: Failed) -> AsyncGenerator[Result, None]:
        """The same, one by one."""
        fields = await self.fields(job_id)
        async with aclosing(self.batches(job_id, failed)) as read:
            async for batch in read:
                for result in results_of(batch, fields):
                    yield result

    async def table(self, job_id: str, failed: Failed) -> Any:
        """The same as one ``pyarrow.Table``, with the columns of a Parquet output."""
        job = await self._store.job(job_id)
        schema = output_schema(job, job.description)
        sink = self._files.open_table(replace(schema, every_row=failed == "null"))
        async with aclosing(self.batches(job_id, failed)) as read:
            async for batch in read:
                await asyncio.to_thread(sink.write, batch)
        return await asyncio.to_thread(sink.table)

    async def _check(self, job: Job, described: Description, failed: Failed) -> None:
        if failed not in get_args(Failed):
            raise UsageError(f"failed is one of {', '.join(get_args(Failed))}, not {failed!r}")
        if failed == "omit":
            return
        tally = await self._store.tally(job.id)
        rows = rows_total(job, described)
        left = rows - tally.rows_done - tally.rows_failed
        if failed == "null":
            if not job.planned:
                raise RowsWithoutResult(
                    f"job {job.id} is not complete: {job.plan_row} of {rows} rows are planned, so "
                    'failed="null" cannot give a record for each. Run it again to go on, or take '
                    'the results that there are with failed="omit"'
                )
        elif left and job.state is not JobState.COMPLETE:
            raise RowsWithoutResult(
                f"job {job.id} is not complete: {left} of {rows} rows have no result yet; run it "
                f"again to go on, or take what there is with failed={_TAKE}"
            )
        elif tally.rows_failed:
            codes = {failure.code for failure in await self._store.failures(job.id)}
            raise RowsWithoutResult(
                f"{tally.rows_failed} of {rows} rows of job {job.id} failed for good "
                f"({', '.join(sorted(codes))}): `batcher errors {job.id}` says why; take the "
                f"others with failed={_TAKE}. Nothing that is done is sent again"
            )


_TAKE = '"null" (None in their places) or "omit"'
