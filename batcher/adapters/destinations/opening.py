"""From a path on the command line to a sink: which format, which compression, file or stream."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, Final

from batcher.adapters.destinations.target import FileTarget, check_path, is_stream, open_target
from batcher.adapters.destinations.terminal import TerminalStream
from batcher.adapters.destinations.writers.csv_sink import CsvSink
from batcher.adapters.destinations.writers.jsonl_sink import JsonlSink
from batcher.adapters.destinations.writers.layout import plain_fields
from batcher.adapters.destinations.writers.npy_sink import NpySink
from batcher.adapters.formats.file_names import COMPRESSIBLE, Compression, read_name
from batcher.core.errors import UsageError
from batcher.core.text.inert import inert, inert_json
from batcher.ports import OutputSchema, OutputSink, Seen, SinkRequest

OUTPUT_FORMATS: Final = ("jsonl", "csv", "parquet", "npy")
_OTHERS: Final = "use .jsonl, .csv or .parquet"


class FileDestinations:
    """The files that this package writes (:class:`batcher.ports.Destination`), and streams."""

    def check_form(self, wanted: SinkRequest) -> None:
        """See :meth:`batcher.ports.Destination.check_form`."""
        _format(wanted.address, wanted.format, wanted.schema)

    def check_place(self, wanted: SinkRequest) -> None:
        """See :meth:`batcher.ports.Destination.check_place`."""
        if wanted.address != "-":
            check_path(wanted.address)

    def open(self, wanted: SinkRequest) -> OutputSink:
        """See :meth:`batcher.ports.Destination.open`."""
        return open_sink(
            wanted.address, format=wanted.format, schema=wanted.schema, seen=wanted.seen
        )


FILES: Final = FileDestinations()


def check_output(path: str, *, format: str | None = None, schema: OutputSchema) -> None:
    """Refuse, before anything is paid for, an output that could not be written afterwards.

    Raises:
        UsageError: the format is not known or does not suit the results, or the directory is
            missing or may not be written to.
    """
    wanted = SinkRequest(address=path, format=format, schema=schema)
    FILES.check_form(wanted)
    FILES.check_place(wanted)


def open_sink(
    path: str,
    *,
    format: str | None = None,
    schema: OutputSchema,
    stdout: BinaryIO | None = None,
    seen: Seen = "anything",
) -> OutputSink:
    """The output at ``path``, where ``-`` is standard output (or ``stdout``).

    A file there is replaced where it is what was ``seen``.

    ``format`` overrules the name's suffix; ``.gz`` and ``.zst`` compress JSONL and CSV.

    Raises:
        UsageError: as for :func:`check_output`.
        OutputError: the disk is full.
    """
    kind, compression = _format(path, format, schema)
    stdout = sys.stdout.buffer if stdout is None else stdout
    if path == "-" and kind in COMPRESSIBLE and stdout.isatty():
        stdout = TerminalStream(stdout, inert_json if kind == "jsonl" else inert)
    target = open_target(path, stdout, seen)
    if kind == "jsonl":
        return JsonlSink(target, schema, compression)
    if kind == "csv":
        return CsvSink(target, schema, compression)
    if kind == "parquet":
        # pyarrow takes a quarter of a second to import.
        from batcher.adapters.destinations.writers.parquet_sink import ParquetSink

        return ParquetSink(target, schema)
    if not isinstance(target, FileTarget):
        target.abort()
        raise _no_stream(target.name)
    return NpySink(target, schema)


def _format(path: str, asked: str | None, schema: OutputSchema) -> tuple[str, Compression | None]:
    name = read_name(path)
    kind = name.format if asked is None else asked
    if asked is not None and asked not in OUTPUT_FORMATS:
        raise UsageError(f"no output format {asked!r}: there are {', '.join(OUTPUT_FORMATS)}")
    if kind is None and (path == "-" or is_stream(Path(path))):
        kind = "jsonl"
    if kind is None:
        raise UsageError(
            f"{path}: the name does not tell the format: give --output-format jsonl, csv, parquet "
            "or npy, or name it .jsonl, .ndjson, .csv (each also .gz or .zst), .parquet or .npy"
        )
    if kind not in COMPRESSIBLE and name.compression is not None:
        raise UsageError(f"{path}: {kind} is not compressed as a whole: leave the suffix out")
    if kind == "npy" and plain_fields(schema):
        raise UsageError(f"{path}: .npy holds only vectors: {_OTHERS}")
    if kind == "npy" and schema.chunked:
        raise UsageError(f"{path}: .npy cannot say which row a chunk belongs to: {_OTHERS}")
    if kind == "npy" and schema.every_row:
        raise UsageError(f"{path}: .npy has no null for rows that failed: {_OTHERS}")
    if kind == "npy" and schema.costs:
        raise UsageError(f"{path}: .npy cannot say what a vector cost: {_OTHERS}")
    if kind == "npy" and path == "-":
        raise _no_stream("standard output")
    return kind, name.compression


def _no_stream(name: str) -> UsageError:
    return UsageError(f"{name}: an .npy file cannot be written to a stream: {_OTHERS}")
