"""A job's results as files: errors, output, manifest, in this order, each complete or absent."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from batcher.core.errors import DamagedStore, OutputTaken, UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.description import Description
from batcher.core.model import DeadLetter, Job
from batcher.engine.delivery.exporter import Readable, Resumption, export, output_schema
from batcher.engine.delivery.overwriting import Output, Overwriting
from batcher.engine.delivery.selection import BEHIND_ALL_CHUNKS
from batcher.engine.job.report import Report
from batcher.engine.job.results import error_record
from batcher.engine.services import Files
from batcher.ports import (
    Draft,
    EveryRowSink,
    OutputSchema,
    OutputSink,
    ReportingSink,
    ResumableSink,
    SinkRequest,
)

_LETTERS_AT_ONCE = 1_000


class DeadLettersPreventOutput(UsageError):
    """An output format cannot leave rows out, and some failed; the results are kept."""

    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a delivery is that may be broken off: rows of the input, and their records.

    ``keep`` has the next attempt begin there.
    """

    cursor: int
    records: int
    keep: Callable[[int, int], Awaitable[None]]


class Delivery:
    """Writes the outputs of jobs."""

    def __init__(self, store: Readable, files: Files) -> None:
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
        self.check_form(target, described)
        self._files.check_place(_wanted(target, _expected(target, described)))
        for beside in target.files[1:]:
            if self._files.look(beside) == "stream":
                raise UsageError(f"{beside} is not a file: name another output")
        made_of = (
            described.input.address,
            *(file.path for file in described.files.values() if file.path),
        )
        self._overwriting.check_apart(target, (*made_of, *protect))
        self._overwriting.check_claimed(target)

    def check_form(self, target: Output, described: Description) -> None:
        """Refuse an output that could be written nowhere. It is not looked for: others deliver.

        Raises:
            UsageError: the format is wrong, nothing that is installed writes there, or it is called
                after a name that the job has not.
        """
        DeliverySpec(output=target.path).check_name(described.work.name)
        self._files.check_form(_wanted(target, _expected(target, described)))

    def _check_again(self, wanted: SinkRequest) -> None:
        self._files.check_form(wanted)
        self._files.check_place(wanted)

    def check_of(
        self, target: Output | None, described: Description, protect: Iterable[str]
    ) -> Callable[[Job], Awaitable[object]] | None:
        """What refuses a job, before anything is sent, whose output would replace another's.

        It raises :class:`batcher.core.errors.OutputTaken`, with what to do; and what :meth:`check`
        does, where the output is called after the job.
        """
        return None if target is None else partial(self._check_of, target, described, protect)

    async def _check_of(
        self, target: Output, described: Description, protect: Iterable[str], job: Job
    ) -> None:
        filled = target.of(job)
        if filled != target:
            await asyncio.to_thread(self.check, filled, described, protect)
        await self._overwriting.check(filled, job)

    async def deliver_once(
        self, job: Job, report: Report, target: Output, progress: Progress | None = None
    ) -> Report:
        """Deliver, unless the manifest proves that this very output was written already."""
        report = _noted(report, target)
        if target.manifest is not None and await asyncio.to_thread(Path(target.path).exists):
            manifest = await asyncio.to_thread(self._files.read_json, target.manifest)
            if manifest is not None and manifest == report.manifest():
                return _delivered(report, target)
        try:
            return await self.deliver(job, report, target, progress=progress)
        except OutputTaken as error:
            raise OutputTaken(
                f"{error}. The results are kept: batcher export {job.id} -o ANOTHER"
            ) from error

    async def deliver(
        self,
        job: Job,
        report: Report,
        target: Output,
        *,
        partial: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """Write errors (a stale file is removed), output and manifest.

        What is damaged is left out with ``partial``, and the report's notes say what that is. A
        destination that can go on where an earlier attempt got to does so, by its ``progress``.

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
        wanted = _wanted(target, schema, job=job, progress=progress)
        await asyncio.to_thread(self._check_again, wanted)
        seen = await self._overwriting.check(target, job)
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
            here = seen.get(Path(target.path), "anything")
            wanted = dataclasses.replace(wanted, seen=here)
            if target.is_file or target.stream:
                sink = files.open_sink(wanted)
            else:  # somewhere else, which may take a while to answer
                sink = await asyncio.to_thread(files.open_sink, wanted)
            stack.callback(sink.abort)
            needs_all = isinstance(sink, EveryRowSink)
            if isinstance(sink, EveryRowSink) and (report.rows_failed or report.rows_left):
                if errors is not None:
                    await asyncio.to_thread(errors.commit)
                raise _prevented(report, sink)
            if isinstance(sink, ReportingSink):
                await self._report_errors(job.id, sink)
            left_out: list[DamagedStore] | None = [] if partial and not needs_all else None
            await export(
                self._store,
                job,
                described,
                sink,
                left_out,
                every_row=target.every_row,
                resumption=_resumption(sink, progress),
            )
            if left_out:
                said = tuple(f"left out: {each}" for each in left_out)
                report = dataclasses.replace(report, notes=(*report.notes, *said))
            if left_out and manifest is not None and target.manifest is not None:
                await asyncio.to_thread(manifest.abort)
                manifest = await asyncio.to_thread(
                    files.draft_json, target.manifest, report.manifest(), seen[target.manifest]
                )
                stack.callback(manifest.abort)
            if isinstance(sink, ReportingSink):
                await asyncio.to_thread(sink.write_manifest, report.manifest())
            await _commit_all([draft for draft in (errors, sink, manifest) if draft is not None])
        return _delivered(report, target, exported=True)

    async def errors(self, job_id: str, *, after: int | None = None) -> AsyncIterator[DeadLetter]:
        """The dead letters of a job, one for each failed row behind ``after``, in input order."""
        last = -1
        past = None if after is None else (after, BEHIND_ALL_CHUNKS)
        async for letter in self._store.dead_letters(job_id, after=past):
            if letter.row != last:
                last = letter.row
                yield letter

    async def _report_errors(self, job_id: str, sink: ReportingSink) -> None:
        page: list[Mapping[str, Any]] = []
        async for record in self._error_records(job_id):
            page.append(record)
            if len(page) == _LETTERS_AT_ONCE:
                await asyncio.to_thread(sink.write_errors, page)
                page = []
        if page:
            await asyncio.to_thread(sink.write_errors, page)

    async def _error_records(self, job_id: str) -> AsyncIterator[Mapping[str, Any]]:
        async for letter in self.errors(job_id):
            yield error_record(letter)


async def _commit_all(drafts: Sequence[Draft]) -> None:
    """Commit them in this order, all of them even if the caller is cancelled meanwhile.

    An output whose manifest was given up would look like nobody's.
    """

    def commit() -> None:
        for draft in drafts:
            draft.commit()

    committing = asyncio.ensure_future(asyncio.to_thread(commit))
    try:
        await asyncio.shield(committing)
    except asyncio.CancelledError:
        await asyncio.wait([committing])
        raise


def _expected(target: Output, described: Description) -> OutputSchema:
    """What is known of the records before there are any."""
    return OutputSchema(
        columns=(),
        fields=described.fields,
        chunked=described.chunked,
        dimension=None,
        costs=described.work.cost_columns,
        every_row=target.every_row,
    )


def _wanted(
    target: Output,
    schema: OutputSchema,
    *,
    job: Job | None = None,
    progress: Progress | None = None,
) -> SinkRequest:
    return SinkRequest(
        address=target.path,
        schema=schema,
        format=target.format,
        overwrite=target.overwrite,
        job="" if job is None else job.id,
        name=None if job is None else job.name,
        from_row=0 if progress is None else progress.cursor,
    )


def _resumption(sink: OutputSink, progress: Progress | None) -> Resumption | None:
    """None where nothing of the sink lasts before it is committed."""
    if progress is None or not isinstance(sink, ResumableSink):
        return None
    return Resumption(
        cursor=progress.cursor, records=progress.records, flush=sink.flush, keep=progress.keep
    )


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


def _prevented(report: Report, sink: EveryRowSink) -> DeadLettersPreventOutput:
    lacking = report.rows_failed + report.rows_left
    return DeadLettersPreventOutput(
        f"{sink.holds_every_row}, and {lacking} of {report.rows} have no vector. The results are "
        f"kept: export job {report.job} as .jsonl, .csv or .parquet, or retry the failed rows"
    )
