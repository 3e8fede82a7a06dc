"""A job's results as files: errors, output, manifest, in this order, each complete or absent."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from batcher.core.errors import DamagedStore, OutputTaken, UsageError
from batcher.core.job.description import Description
from batcher.core.model import DeadLetter, Job
from batcher.engine.delivery.exporter import export, output_schema
from batcher.engine.delivery.overwriting import Output, Overwriting
from batcher.engine.delivery.selection import BEHIND_ALL_CHUNKS
from batcher.engine.job.report import Report
from batcher.engine.job.results import error_record
from batcher.engine.services import Files
from batcher.ports import Draft, OutputSchema, Store


class DeadLettersPreventOutput(UsageError):
    """An output format cannot leave rows out, and some failed; the results are kept."""

    exit_code = 3


class Delivery:
    """Writes the outputs of jobs."""

    def __init__(self, store: Store, files: Files) -> None:
        """``files`` does the writing."""
        self._store = store
        self._files = files
        self._overwriting = Overwriting(store, files)

    def check(self, target: Output | None, described: Description, protect: Iterable[str]) -> None:
        """Refuse, before anything is sent, an output that could not be written.

        ``protect`` are files that are never replaced, besides those that the job is made of.

        Raises:
            UsageError: the format or the directory is wrong, or it would replace what is not its
                own, as far as this can be said without the job.
        """
        if target is None:
            return
        schema = OutputSchema(
            columns=(),
            fields=described.fields,
            chunked=described.chunked,
            dimension=None,
            costs=described.work.cost_columns,
            every_row=target.every_row,
        )
        self._files.check_output(target.path, target.format, schema)
        for beside in target.files[1:]:
            if self._files.look(beside) == "stream":
                raise UsageError(f"{beside} is not a file: name another output")
        made_of = (
            described.input.address,
            *(file.path for file in described.files.values() if file.path),
        )
        self._overwriting.check_apart(target, (*made_of, *protect))
        self._overwriting.check_claimed(target)

    def check_of(self, target: Output | None) -> Callable[[Job], Awaitable[object]] | None:
        """What refuses a job, before anything is sent, whose output would replace another's.

        It raises :class:`batcher.core.errors.OutputTaken`, with what to do.
        """
        return None if target is None else partial(self._overwriting.check, target)

    async def deliver_once(self, job: Job, report: Report, target: Output) -> Report:
        """Deliver, unless the manifest proves that this very output was written already."""
        report = _noted(report, target)
        if target.manifest is not None and await asyncio.to_thread(Path(target.path).exists):
            manifest = await asyncio.to_thread(self._files.read_json, target.manifest)
            if manifest is not None and manifest == report.manifest():
                return _delivered(report, target)
        try:
            return await self.deliver(job, report, target)
        except OutputTaken as error:
            raise OutputTaken(
                f"{error}. The results are kept: batcher export {job.id} -o ANOTHER"
            ) from error

    async def deliver(
        self, job: Job, report: Report, target: Output, *, partial: bool = False
    ) -> Report:
        """Write errors (a stale file is removed), output and manifest.

        What is damaged is left out with ``partial``, and the report's notes say what that is.

        Raises:
            UsageError: the output cannot hold these results.
            OutputTaken: it would replace what is not this job's.
        """
        files = self._files
        report = _noted(report, target)
        described = job.description
        schema = dataclasses.replace(
            output_schema(job, described), csv_safe=target.csv_safe, every_row=target.every_row
        )
        files.check_output(target.path, target.format, schema)
        seen = await self._overwriting.check(target, job)
        as_npy = Path(target.path).suffix == ".npy" or target.format == "npy"
        with contextlib.ExitStack() as stack:
            manifest = errors = None
            if target.manifest is not None:  # first: if this is killed, it says whose the rest is
                manifest = await asyncio.to_thread(
                    files.draft_json, target.manifest, report.manifest(), seen[target.manifest]
                )
                stack.callback(manifest.abort)
            if target.errors is not None:
                letters = self._error_records(job.id)
                errors = await files.draft_records(target.errors, letters, seen[target.errors])
                stack.callback(errors.abort)
            if as_npy:
                await self._check_npy(report, errors)
            here = seen.get(Path(target.path), "anything")
            sink = files.open_sink(target.path, target.format, schema, here)
            stack.callback(sink.abort)
            left_out: list[DamagedStore] | None = [] if partial and not as_npy else None
            await export(self._store, job, described, sink, left_out, every_row=target.every_row)
            if left_out:
                said = tuple(f"left out: {each}" for each in left_out)
                report = dataclasses.replace(report, notes=(*report.notes, *said))
            if left_out and manifest is not None and target.manifest is not None:
                await asyncio.to_thread(manifest.abort)
                manifest = await asyncio.to_thread(
                    files.draft_json, target.manifest, report.manifest(), seen[target.manifest]
                )
                stack.callback(manifest.abort)
            for draft in (errors, sink, manifest):
                if draft is not None:
                    await asyncio.to_thread(draft.commit)
        return _delivered(report, target, exported=True)

    async def _check_npy(self, report: Report, errors: Draft | None) -> None:
        """Where rows failed, there is nothing but the errors to be written."""
        try:
            _check_npy(report)
        except DeadLettersPreventOutput:
            if errors is not None:
                await asyncio.to_thread(errors.commit)
            raise

    async def errors(self, job_id: str, *, after: int | None = None) -> AsyncIterator[DeadLetter]:
        """The dead letters of a job, one for each failed row behind ``after``, in input order."""
        last = -1
        past = None if after is None else (after, BEHIND_ALL_CHUNKS)
        async for letter in self._store.dead_letters(job_id, after=past):
            if letter.row != last:
                last = letter.row
                yield letter

    async def _error_records(self, job_id: str) -> AsyncIterator[Mapping[str, Any]]:
        async for letter in self.errors(job_id):
            yield error_record(letter)


_NOTED: tuple[tuple[str, Callable[[Output], bool]], ...] = (
    (
        "CSV cells that a spreadsheet would take for formulas begin with ' (--csv-safe)",
        lambda target: target.csv_safe,
    ),
    (
        "rows without a result are in the output, with null for it (--failed-rows null)",
        lambda target: target.every_row,
    ),
)


def _noted(report: Report, target: Output) -> Report:
    """The report, saying of an output what the same job's might be without."""
    said = [note for note, holds in _NOTED if holds(target) and note not in report.notes]
    return dataclasses.replace(report, notes=(*report.notes, *said)) if said else report


def _delivered(report: Report, target: Output, **more: Any) -> Report:
    errors = str(target.errors) if target.errors is not None and report.rows_failed else None
    return dataclasses.replace(report, output=target.path, errors=errors, **more)


def _check_npy(report: Report) -> None:
    if report.rows_failed or report.rows_left:
        raise DeadLettersPreventOutput(
            f".npy has a place for every row, and {report.rows_failed + report.rows_left} of "
            f"{report.rows} have no vector. The results are kept: export job {report.job} as "
            ".jsonl, .csv or .parquet, or retry the dead letters"
        )
