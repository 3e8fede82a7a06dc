"""A job's records as values: batch by batch, one by one, or as one table."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any, get_args

from batcher.core.errors import RowsWithoutResult, UsageError
from batcher.core.job.description import Description
from batcher.core.model import Job, JobState
from batcher.engine.delivery.exporter import Readable, output_schema
from batcher.engine.delivery.selection import (
    BEFORE_ALL,
    BEHIND_ALL_CHUNKS,
    Cursor,
    batches_after,
    part,
    record_of_id,
)
from batcher.engine.job.report import rows_total
from batcher.engine.job.results import Failed, Result, results_of
from batcher.engine.services import Files
from batcher.ports import OutputBatch, OutputSink, SinkRequest


class Records:
    """Reads what jobs made."""

    def __init__(self, store: Readable, files: Files) -> None:
        """``files`` makes the tables."""
        self._store = store
        self._files = files

    async def batches(
        self, job_id: str, failed: Failed, *, after: Cursor | None = None
    ) -> AsyncGenerator[OutputBatch, None]:
        """The records, in input order, a batch a shard; those after the one at ``after``.

        Raises:
            RowsWithoutResult: there is such a row, and ``failed`` is ``raise``; or its place is not
                known yet, and ``failed`` is ``null``.
        """
        job = await self._store.job(job_id)
        described = job.description
        await self._check(job, described, failed)
        async with aclosing(
            batches_after(
                self._store, job, described, after or BEFORE_ALL, every_row=failed == "null"
            )
        ) as read:
            async for batch in read:
                yield batch

    async def fields(self, job_id: str) -> list[str]:
        """The names of what :attr:`batcher.engine.job.results.Result.value` holds."""
        described = (await self._store.job(job_id)).description
        return [field.name for field in described.fields if field.type != "vector"]

    async def results(
        self, job_id: str, failed: Failed, *, after: Cursor | None = None
    ) -> AsyncGenerator[Result, None]:
        """The same, one by one."""
        fields = await self.fields(job_id)
        async with aclosing(self.batches(job_id, failed, after=after)) as read:
            async for batch in read:
                for result in results_of(batch, fields):
                    yield result

    async def write_some(
        self, job_id: str, output_format: str, *, after: int, limit: int | None
    ) -> int | None:
        """Write records that there are by now to standard output: those of rows behind ``after``.

        Shards before that row are not read, nor are those behind the last record. The ``limit`` of
        records is exceeded where a row has several: it is written whole.

        Returns:
            The last row that was written, where there are records behind it.

        Raises:
            UsageError: the job's results do not go into this format.
        """
        job = await self._store.job(job_id)
        described = job.description
        left, last = limit, after
        with self._printed(job, described, output_format) as sink:
            read = batches_after(self._store, job, described, (after, BEHIND_ALL_CHUNKS))
            async with aclosing(read):
                async for batch in read:
                    if left is not None and left <= 0:
                        return last
                    end = len(batch.rows)
                    if left is not None:
                        end = bisect_right(batch.rows, batch.rows[min(left, end) - 1])
                        left -= end
                    await asyncio.to_thread(sink.write, part(batch, 0, end))
                    last = batch.rows[end - 1]
                    if end < len(batch.rows):
                        return last
        return None

    async def write_one(self, job_id: str, output_format: str, id_: str) -> None:
        """Write the records of the row with this id to standard output, likewise.

        Raises:
            UsageError: there is no such row, or it has no result; says which, and why.
        """
        job = await self._store.job(job_id)
        described = job.description
        record = await record_of_id(self._store, job, described, id_)
        with self._printed(job, described, output_format) as sink:
            await asyncio.to_thread(sink.write, record)

    @contextmanager
    def _printed(
        self, job: Job, described: Description, output_format: str
    ) -> Iterator[OutputSink]:
        """Standard output, as a sink of the job's records."""
        wanted = SinkRequest(
            address="-", schema=output_schema(job, described), format=output_format
        )
        self._files.check_form(wanted)
        sink = self._files.open_sink(wanted)
        try:
            yield sink
            sink.commit()
        finally:
            sink.abort()

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
