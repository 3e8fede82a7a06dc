"""From a path on the command line to a source: which format, which compression, spooled or not."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from batcher.adapters.files.batch import ReaderFactory
from batcher.adapters.files.csv_reader import CsvReader
from batcher.adapters.files.formats import COMPRESSIBLE, read_name
from batcher.adapters.files.jsonl_reader import JsonlReader
from batcher.adapters.files.source import FileSource
from batcher.adapters.files.spool import Spool
from batcher.core.errors import InputError, UsageError

STDIN: Final = "-"
INPUT_FORMATS: Final = ("csv", "jsonl", "parquet")
_DELIMITERS: Final = {"tab": "\t", "\\t": "\t"}


def open_source(
    path: str,
    *,
    format: str | None = None,
    delimiter: str | None = None,
    spool_dir: Path,
    max_bytes: int | None = None,
    stdin: BinaryIO | None = None,
) -> FileSource:
    """The input at ``path``, where ``-`` is standard input (``stdin``, for tests another stream).

    ``format`` overrules the name's suffix; ``delimiter`` is one character or ``tab``. Standard
    input and pipes are copied to ``spool_dir`` first, until the source is closed; of at most
    ``max_bytes``.

    Raises:
        UsageError: the format is not known, or the delimiter is none.
        InputError: there is no such file.
    """
    name = read_name(path)
    kind = _format(path, format)
    reader = _reader(kind, delimiter)
    compression = name.compression if kind in COMPRESSIBLE else None
    if path == STDIN:
        stream = sys.stdin.buffer if stdin is None else stdin
        spool = Spool(spool_dir, source="standard input", most_bytes=max_bytes)
        return _spooled(stream, spool, "standard input", kind, reader)
    file = Path(path)
    with _open(path) as stream:
        if not file.is_file():
            spool = Spool(spool_dir, source=path, most_bytes=max_bytes)
            return _spooled(stream, spool, path, kind, reader)
    return FileSource(
        name=path,
        open_raw=lambda: file.open("rb"),
        compression=compression,
        reader=reader,
        has_lines=kind in COMPRESSIBLE,
        close=lambda: None,
    )


def open_spooled(
    spool: Spool, path: str, *, name: str, format: str | None, delimiter: str | None
) -> FileSource:
    """What has been fetched as a source, which owns the spool; ``path`` says what is in it.

    Raises:
        UsageError: as :func:`open_source`.
    """
    kind = _format(path, format)
    return FileSource(
        name=name,
        open_raw=spool.open,
        compression=read_name(path).compression if kind in COMPRESSIBLE else None,
        reader=_reader(kind, delimiter),
        has_lines=kind in COMPRESSIBLE,
        close=spool.close,
    )


def _format(path: str, asked: str | None) -> str:
    if asked is not None:
        if asked not in INPUT_FORMATS:
            raise UsageError(f"no input format {asked!r}: there are {', '.join(INPUT_FORMATS)}")
        return asked
    if path == STDIN:
        raise UsageError("standard input has no name to tell its format: say --format")
    found = read_name(path)
    if found.format not in INPUT_FORMATS or (
        found.compression is not None and found.format not in COMPRESSIBLE
    ):
        raise UsageError(
            f"{path}: the name does not tell the format: say --format csv, jsonl or parquet, or "
            "name it .csv, .jsonl, .ndjson (each also .gz or .zst) or .parquet"
        )
    return found.format


def _reader(kind: str, delimiter: str | None) -> ReaderFactory:
    if kind == "csv":
        mark = None if delimiter is None else _DELIMITERS.get(delimiter, delimiter)
        if mark is not None and (len(mark) != 1 or mark in '"\r\n\0'):
            raise UsageError(f"--delimiter {delimiter!r} is neither one character nor 'tab'")
        return partial(CsvReader, delimiter=mark)
    if delimiter is not None:
        raise UsageError(f"--delimiter is for CSV, and the input is {kind}")
    if kind == "jsonl":
        return JsonlReader
    # pyarrow takes a quarter of a second to import.
    from batcher.adapters.files.parquet_reader import ParquetReader

    return ParquetReader


def _open(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except FileNotFoundError as exc:
        raise InputError("there is no such file", source=path) from exc
    except IsADirectoryError as exc:
        raise InputError("is a directory: name a file in it", source=path) from exc
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror or exc}", source=path) from exc


def _spooled(
    stream: BinaryIO, spool: Spool, name: str, kind: str, reader: ReaderFactory
) -> FileSource:
    try:
        spool.copy(stream)
    except BaseException:
        spool.close()
        raise
    return FileSource(
        name=name,
        open_raw=spool.open,
        compression=None,
        reader=reader,
        has_lines=kind in COMPRESSIBLE,
        close=spool.close,
    )
