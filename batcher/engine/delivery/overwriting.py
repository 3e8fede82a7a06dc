"""Where an output goes, and whether what stands there may be replaced.

A file is replaced where the manifest beside it says that it is this job's: of the job itself, of an
earlier run of the same command or the same name. What the job reads or keeps its state in is never
replaced, whatever anybody says. Nothing is written here.
"""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike, fspath
from os.path import realpath
from pathlib import Path
from typing import Any, Protocol

from batcher.core.errors import OutputTaken, UsageError
from batcher.core.job.delivery import DeliverySpec, is_template
from batcher.core.job.urls import scheme_of
from batcher.core.model import Job
from batcher.ports import JobLookup, Seen

_COMMAND = (
    "kind", "input", "model", "options", "params", "id", "format", "delimiter",
    "encoding", "limit",
    "base_url", "api_version", "simulate", "via",
)  # fmt: skip
"""What makes a command the same, whatever its files hold by now, and however fast it may send."""
_STANDARD_OUTPUT = frozenset({"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
_LETTER = {"id", "row", "code", "message", "attempts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where the records go: a path (``-`` is standard output), or the URL of a destination.

    ``format`` is for a path whose name has none. ``overwrite`` replaces whatever stands there. A
    pipe or a device is a ``stream``, with nothing beside it; nor has a URL anything. ``csv_safe``
    puts a ``'`` before what a spreadsheet would take for a formula in a CSV cell. ``every_row``:
    rows that failed have a record, too, with null for what they lack.
    """

    path: str
    format: str | None = None
    overwrite: bool = False
    stream: bool = False
    csv_safe: bool = False
    every_row: bool = False

    @classmethod
    def named(
        cls,
        path: str | PathLike[str],
        format: str | None = None,
        *,
        overwrite: bool = False,
        csv_safe: bool = False,
        failed_rows: str = "omit",
    ) -> Output:
        """The output at a path, which is looked at.

        Raises:
            UsageError: it is not a path, or ``failed_rows`` is neither ``omit`` nor ``null``.
        """
        path = fspath(path)
        if not path or "\0" in path:
            raise UsageError(f"the output {path!r} is not a path")
        if failed_rows not in ("omit", "null"):
            raise UsageError(f"--failed-rows is one of omit, null, not {failed_rows!r}")
        if path in _STANDARD_OUTPUT:  # which may lead to a file that a shell has opened
            path = "-"
        return cls(
            path=path,
            format=format,
            overwrite=overwrite,
            stream=path == "-" or (scheme_of(path) is None and _is_special(Path(path))),
            csv_safe=csv_safe,
            every_row=failed_rows == "null",
        )

    def of(self, job: Job) -> Output:
        """The output of a job, whose path may hold its day, its id and its name.

        Raises:
            UsageError: it holds a name, and the job has none.
        """
        if not is_template(self.path):
            return self
        where = DeliverySpec(output=self.path)
        filled = where.filled(job=job.id, name=job.name, day=job.created_at.date())
        return replace(self, path=filled.output)

    @property
    def is_file(self) -> bool:
        """Whether it is a file, with two others beside it."""
        return not self.stream and scheme_of(self.path) is None

    @property
    def errors(self) -> Path | None:
        """The errors file; None where the output is no file."""
        return Path(f"{self.path}.errors.jsonl") if self.is_file else None

    @property
    def manifest(self) -> Path | None:
        """The manifest; None where the output is no file."""
        return Path(f"{self.path}.manifest.json") if self.is_file else None

    @property
    def files(self) -> tuple[Path, ...]:
        """All the files that are written."""
        beside = (self.errors, self.manifest)
        return (Path(self.path), *(path for path in beside if path)) if self.is_file else ()


class Places(Protocol):
    """What has to be known of files (:class:`batcher.engine.delivery.files.Files`).

    ``state`` are the files and folders that the jobs are kept in.
    """

    @property
    def look(self) -> Callable[[Path], Seen]:
        """What stands at a path."""
        ...

    @property
    def is_same(self) -> Callable[[Path, Path], bool]:
        """Whether two paths lead to one file."""
        ...

    @property
    def is_part_of(self) -> Callable[[Path, Path], bool]:
        """Whether a file would be taken for an unfinished one of another."""
        ...

    @property
    def read_drafts(self) -> Callable[[Path], list[Mapping[str, Any]]]:
        """The object in a file, and those that killed writers were about to put there."""
        ...

    @property
    def state(self) -> tuple[Path, ...]:
        """See above."""
        ...


class Overwriting:
    """Refuses outputs that would replace what is not theirs."""

    def __init__(self, store: JobLookup, places: Places) -> None:
        """``store`` knows the jobs that manifests name."""
        self._store = store
        self._places = places

    def check_apart(self, target: Output, read: Iterable[str]) -> None:
        """Refuse an output that would be written over what the job reads, or is kept in.

        Raises:
            UsageError: the output, its errors or its manifest is such a file.
        """
        sources = [Path(name) for name in read if name != "-" and not scheme_of(name)]
        for written in target.files:
            for source in sources:
                self._refuse_if_same(written, source, "is what the job reads")
            for state in self._places.state:
                self._refuse_if_same(written, state, "is the database, or beside it")
                if _is_within(written, state):
                    raise UsageError(f"{written} is within {state}: name another output")

    def _refuse_if_same(self, written: Path, other: Path, what: str) -> None:
        if self._places.is_same(written, other) or self._places.is_part_of(other, written):
            raise UsageError(f"{written} {what}: name another output")

    def check_claimed(self, target: Output) -> None:
        """Refuse, before the job is known, what stands there and is no job's.

        Raises:
            OutputTaken: no manifest is beside it.
        """
        if not target.overwrite and target.manifest is not None:
            standing = self._standing(self._look(target))
            if standing and not self._places.read_drafts(target.manifest):
                raise _taken(standing[0], [])

    async def check(self, target: Output, job: Job) -> Mapping[Path, Seen]:
        """What stands where the job's output goes, all of which it may replace.

        Raises:
            OutputTaken: it is not this job's.
        """
        if target.overwrite:
            return dict.fromkeys(target.files, "anything")
        seen = await asyncio.to_thread(self._look, target)
        standing = await asyncio.to_thread(self._standing, seen)
        if standing and target.manifest is not None:
            claims = await asyncio.to_thread(self._places.read_drafts, target.manifest)
            if not any([await self._is_ours(claim, job) for claim in claims]):
                raise _taken(standing[0], claims)
        return seen

    def _look(self, target: Output) -> dict[Path, Seen]:
        return {path: self._places.look(path) for path in target.files}

    def _standing(self, seen: Mapping[Path, Seen]) -> list[Path]:
        """The files that somebody would miss.

        An errors file alone is what is left where an output could not be written for the rows that
        failed: it says nothing that the database does not.
        """
        standing = [path for path, what in seen.items() if what != "nothing"]
        if len(standing) == 1 and _is_errors_file(standing[0]):
            return []
        return standing

    async def _is_ours(self, manifest: Mapping[str, Any], job: Job) -> bool:
        named = manifest.get("job")
        if not isinstance(named, str) or not named:
            return False
        if named == job.id or (job.name is not None and manifest.get("name") == job.name):
            return True
        try:
            other = await self._store.job(named)
        except UsageError:
            return False  # purged, or of another database
        if other.id != named or (other.name and job.name and other.name != job.name):
            return False
        return other.fingerprint == job.fingerprint or _command(other) == _command(job)


def _command(job: Job) -> list[Any]:
    spec = job.description.spec
    chosen = {name: value for name, value in spec.options.items() if value is not None}
    return [chosen if name == "options" else getattr(spec, name) for name in _COMMAND]


def _taken(path: Path, claims: Iterable[Mapping[str, Any]]) -> OutputTaken:
    jobs = [str(claim["job"])[:20] for claim in claims if claim.get("job")]
    whose = (
        f"belongs to another job, {jobs[0]}" if jobs else "has no manifest of this job beside it"
    )
    return OutputTaken(
        f"{path} already exists and {whose}: name another output, or give --overwrite to replace it"
    )


def _is_errors_file(path: Path) -> bool:
    """Whether a file begins as an errors file does."""
    if not path.name.endswith(".errors.jsonl"):
        return False
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(65_536))
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and set(first) == _LETTER


def _is_within(path: Path, folder: Path) -> bool:
    real, above = Path(realpath(path)), Path(realpath(folder))
    return above.is_dir() and real.is_relative_to(above)


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
