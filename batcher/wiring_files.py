"""From the address of an input or an output to what reads or writes there, as far as it is allowed.

A worker reaches what its operator allows (:class:`batcher.core.job.reach.Reach`); who runs a job
himself, everything. No module of an adapter is imported before it is needed.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from batcher.adapters import destinations
from batcher.adapters.system.connectors import DESTINATIONS, SOURCES, Connectors
from batcher.adapters.system.private_files import STATE_DIRECTORY
from batcher.engine.services import Files
from batcher.ports import Destination, Source, SourceRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from batcher.core.job.reach import Reach
    from batcher.core.job.spec import JobSpec
    from batcher.ports import (
        AttachmentFiles,
        Clock,
        Draft,
        InputSource,
        OutputSink,
        Seen,
        SinkRequest,
    )

T = TypeVar("T")


async def open_source(spec: JobSpec, *, clock: Clock, reach: Reach | None) -> InputSource:
    """The input of a job.

    Raises:
        UsageError: nothing that is installed here reads it, or not as the spec says.
        NotAllowed: it may not be read here.
        InputError: there is no such input.
    """
    allowed = None if reach is None else reach.sources
    if allowed is not None:
        from batcher.adapters.system.reach_guards import check_address  # aiohttp takes a while

        check_address(spec.input, allowed, verb="read", flag="--allow-source")
    wanted = SourceRequest(
        address=spec.input,
        spool_dir=STATE_DIRECTORY / "spool",
        clock=clock,
        format=spec.format,
        delimiter=spec.delimiter,
        encoding=spec.encoding,
        max_bytes=spec.max_input_bytes,
        allowed=allowed,
    )
    # In a thread: what is installed is looked through, and imported.
    source = await asyncio.to_thread(_sources().find, spec.input, spec.format)
    return await source.open(wanted)


def open_attachments(spec: JobSpec, *, reach: Reach | None) -> AttachmentFiles:
    """The files that the rows of a job's input may name, as far as they may be read here."""
    from batcher.adapters.sources.attachments import RowAttachments, base_of

    return RowAttachments(base_of(spec.input), None if reach is None else reach.sources)


@cache
def _sources() -> Connectors[Source]:
    return Connectors(SOURCES, Source)


@cache
def _destinations() -> Connectors[Destination]:
    return Connectors(DESTINATIONS, Destination)


def _destination(wanted: SinkRequest) -> Destination:
    return _destinations().find(wanted.address, wanted.format)


def files(state: tuple[Path, ...], reach: Reach | None) -> Files:
    """What the engine needs of files; ``state`` are those that no output may touch.

    What a job names is read, looked at and written only where ``reach`` allows it: texts of options
    like inputs, and what stands beside an output like the output.
    """

    def check(address: str) -> None:
        if reach is not None:
            from batcher.adapters.system.reach_guards import check_address  # aiohttp takes a while

            check_address(address, reach.destinations, verb="write", flag="--allow-destination")

    def beside(read: Callable[[Path], T]) -> Callable[[Path], T]:
        """The same of a path at which an output may be written."""

        def checked(path: Path) -> T:
            check(str(path))
            return read(path)

        return checked

    def read_text(path: str) -> str:
        if reach is not None:
            from batcher.adapters.system.reach_guards import check_path

            check_path(path, reach.sources, verb="read", flag="--allow-source")
        return Path(path).read_text(encoding="utf-8-sig")

    def check_place(wanted: SinkRequest) -> None:
        check(wanted.address)
        _destination(wanted).check_place(wanted)

    def open_sink(wanted: SinkRequest) -> OutputSink:
        check(wanted.address)
        return _destination(wanted).open(wanted)

    async def draft_records(
        path: Path, records: AsyncIterator[Mapping[str, Any]], seen: Seen
    ) -> Draft:
        check(str(path))
        return await destinations.draft_json_lines(path, records, seen)

    def draft_json(path: Path, value: Mapping[str, Any], seen: Seen) -> Draft:
        check(str(path))
        return destinations.draft_json(path, value, seen)

    return Files(
        check_form=lambda wanted: _destination(wanted).check_form(wanted),
        check_place=check_place,
        open_sink=open_sink,
        draft_records=draft_records,
        draft_json=draft_json,
        read_json=beside(lambda path: destinations.read_json(path)),
        read_drafts=beside(lambda path: destinations.read_drafts(path)),
        read_text=read_text,
        look=beside(lambda path: destinations.look(path)),
        is_same=lambda one, other: destinations.is_same(one, other),
        is_part_of=lambda one, other: destinations.is_part_of(one, other),
        open_table=lambda schema: destinations.ArrowSink(schema),
        state=state,
    )
