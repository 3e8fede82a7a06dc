"""A job's results as files: errors, output, manifest, in this order, each complete or absent."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.model import DeadLetter, Job
from batcher.core.spec import JobSpec
from batcher.engine.description import Description
from batcher.engine.exporter import export, output_schema
from batcher.engine.preparing import Bound
from batcher.engine.report import Report
from batcher.ports import InputSource, OutputSchema, OutputSink, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What the engine needs of files: the functions of the files adapter."""

    open_source: Callable[[JobSpec], InputSource]
    check_output: Callable[[str, str | None, OutputSchema], None]
    open_sink: Callable[[str, str | None, OutputSchema], OutputSink]
    write_records: Callable[[Path, AsyncIterator[Mapping[str, Any]]], Awaitable[int]]
    write_json: Callable[[Path, Mapping[str, Any]], None]
    read_json: Callable[[Path], Mapping[str, Any] | None]
    read_text: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where the records go: a path (``-`` is standard output) and a format if its name has none."""

    path: str
    format: str | None = None

    @property
    def errors(self) -> Path | None:
        """The errors file; None where the output is a stream."""
        return None if self.path == "-" else Path(f"{self.path}.errors.jsonl")

    @property
    def manifest(self) -> Path | None:
        """The manifest; None where the output is a stream."""
        return None if self.path == "-" else Path(f"{self.path}.manifest.json")


class DeadLettersPreventOutput(UsageError):
    """An output format cannot leave rows out, and some failed; the results are kept."""

    exit_code = 3


def check_apart(target: Output, bound: Bound) -> None:
    """Refuse an output that would be written over a file that the job reads.

    Raises:
        UsageError: the output, its errors or its manifest is such a file.
    """
    read = [Path(bound.spec.input), *(Path(file.path) for file in bound.files.values())]
    for written in (Path(target.path), target.errors, target.manifest):
        if target.path != "-" and written is not None:
            for source in read:
                if written.resolve() == source.resolve():
                    raise UsageError(f"{written} is what the job reads: name another output")


class Delivery:
    """Writes the outputs of jobs."""

    def __init__(self, store: Store, files: Files) -> None:
        """``files`` does the writing."""
        self._store = store
        self._files = files

    def check(self, target: Output, described: Description) -> None:
        """Refuse, before anything is sent, an output that could not be written.

        Raises:
            UsageError: the format or the directory is wrong.
        """
        schema = OutputSchema(
            columns=(),
            fields=described.fields,
            chunked=described.chunked,
            dimension=None,
            costs=described.spec.cost_columns,
        )
        self._files.check_output(target.path, target.format, schema)

    async def deliver_once(self, job: Job, report: Report, target: Output) -> Report:
        """Deliver, unless the manifest proves that this very output was written already."""
        if target.manifest is not None and await asyncio.to_thread(Path(target.path).exists):
            manifest = await asyncio.to_thread(self._files.read_json, target.manifest)
            if manifest is not None and manifest == report.manifest():
                return _delivered(report, target)
        return await self.deliver(job, report, target)

    async def deliver(self, job: Job, report: Report, target: Output) -> Report:
        """Write errors (a stale file is removed), output and manifest.

        Raises:
            UsageError: the output cannot hold these results.
        """
        files = self._files
        described = Description.read(job)
        schema = output_schema(job, described)
        files.check_output(target.path, target.format, schema)
        if target.errors is not None:
            await files.write_records(target.errors, self._error_records(job.id))
        if Path(target.path).suffix == ".npy" or target.format == "npy":
            _check_npy(report)
        with contextlib.ExitStack() as stack:
            sink = files.open_sink(target.path, target.format, schema)
            stack.callback(sink.abort)
            await export(self._store, job, described, sink)
        if target.manifest is not None:
            await asyncio.to_thread(files.write_json, target.manifest, report.manifest())
        return _delivered(report, target, exported=True)

    async def errors(self, job_id: str) -> AsyncIterator[DeadLetter]:
        """The dead letters of a job, one for each failed row, in input order."""
        last = -1
        async for letter in self._store.dead_letters(job_id):
            if letter.row != last:
                last = letter.row
                yield letter

    async def _error_records(self, job_id: str) -> AsyncIterator[Mapping[str, Any]]:
        async for letter in self.errors(job_id):
            yield error_record(letter)


def _delivered(report: Report, target: Output, **more: Any) -> Report:
    errors = str(target.errors) if target.errors is not None and report.rows_failed else None
    return dataclasses.replace(report, output=target.path, errors=errors, **more)


def error_record(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as the errors file has it."""
    return {
        "id": letter.id,
        "row": letter.row,
        "code": letter.code,
        "message": letter.message,
        "attempts": letter.attempts,
    }


def _check_npy(report: Report) -> None:
    if report.rows_failed or report.rows_left:
        raise DeadLettersPreventOutput(
            f".npy has a place for every row, and {report.rows_failed + report.rows_left} of "
            f"{report.rows} have no vector. The results are kept: export job {report.job} as "
            ".jsonl, .csv or .parquet, or retry the dead letters"
        )
