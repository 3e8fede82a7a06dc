"""From a path on the command line to a source: which format, which compression, spooled or not."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from batcher.adapters.formats.file_names import COMPRESSIBLE, INPUT_SUFFIXES, read_name
from batcher.adapters.sources.batch import ReaderFactory
from batcher.adapters.sources.encodings import read_encoding
from batcher.adapters.sources.file_source import FileSource, Text
from batcher.adapters.sources.readers.csv_reader import CsvReader
from batcher.adapters.sources.readers.json_array import JsonReader
from batcher.adapters.sources.readers.jsonl_reader import JsonlReader
from batcher.adapters.sources.spool import Spool
from batcher.core.errors import InputError, UsageError
from batcher.ports import InputSource, SourceRequest

STDIN: Final = "-"
INPUT_FORMATS: Final = ("csv", "json", "jsonl", "parquet")
_PIPED: Final = "jsonl"
_DELIMITERS: Final = {"tab": "\t", "\\t": "\t"}


class FileSources:
    """The files that this package reads (:class:`batcher.ports.Source`), and standard input."""

    async def open(self, wanted: SourceRequest) -> InputSource:
        """See :meth:`batcher.ports.Source.open`; in a thread, for a stream is copied first."""
        return await asyncio.to_thread(
            open_source,
            wanted.address,
            format=wanted.format,
            delimiter=wanted.delimiter,
            encoding=wanted.encoding,
            spool_dir=wanted.spool_dir,
            max_bytes=wanted.max_bytes,
        )


FILES: Final = FileSources()


def open_source(
    path: str,
    *,
    format: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    spool_dir: Path,
    max_bytes: int | None = None,
    stdin: BinaryIO | None = None,
) -> FileSource:
    """The input at ``path``, where ``-`` is standard input (``stdin``, for tests another stream).

    ``format`` overrules the name's suffix; standard input and pipes are JSONL where neither says
    anything. ``delimiter`` is one character or ``tab``, ``encoding`` that of the text; what is None
    is guessed. Standard input and pipes are copied to ``spool_dir`` first, until the source is
    closed; of at most ``max_bytes``.

    Raises:
        UsageError: the format is not known, or the delimiter is none.
        InputError: there is no such file.
    """
    if path == STDIN:
        text = _text_of(path, format or _PIPED, delimiter, encoding, assumed=format is None)
        stream = sys.stdin.buffer if stdin is None else stdin
        spool = Spool(spool_dir, source="standard input", most_bytes=max_bytes)
        return _spooled(stream, spool, "standard input", text)
    file = Path(path)
    piped = format is None and _is_pipe(file) and read_name(path, INPUT_SUFFIXES).format is None
    text = _text_of(path, _PIPED if piped else format, delimiter, encoding, assumed=piped)
    with _open(path) as stream:
        if not file.is_file():
            spool = Spool(spool_dir, source=path, most_bytes=max_bytes)
            return _spooled(stream, spool, path, text)
    return FileSource(
        name=path,
        open_raw=lambda: file.open("rb"),
        compression=read_name(path).compression if text.kind in COMPRESSIBLE else None,
        text=text,
        close=lambda: None,
        shared=True,
    )


def open_spooled(
    spool: Spool,
    path: str,
    *,
    name: str,
    format: str | None,
    delimiter: str | None,
    encoding: str | None = None,
) -> FileSource:
    """What has been fetched as a source, which owns the spool; ``path`` says what is in it.

    Raises:
        UsageError: as :func:`open_source`.
    """
    text = _text_of(path, format, delimiter, encoding)
    return FileSource(
        name=name,
        open_raw=spool.open,
        compression=read_name(path).compression if text.kind in COMPRESSIBLE else None,
        text=text,
        close=spool.close,
    )


def _text_of(
    path: str,
    format: str | None,
    delimiter: str | None,
    encoding: str | None,
    *,
    assumed: bool = False,
) -> Text:
    """How the input at a path is read.

    Raises:
        UsageError: as :func:`open_source`.
    """
    if format is None and path != STDIN and Path(path).is_dir():
        raise InputError("is a directory: name a file in it", source=path)
    kind = _format(path, format)
    if encoding is not None and kind not in COMPRESSIBLE:
        raise UsageError(f"--encoding is for text, and the input is {kind}")
    return Text(
        kind=kind,
        reader=_reader(kind, delimiter, read_name(path).suffix),
        encoding=None if encoding is None else read_encoding(encoding),
        assumed=assumed,
    )


_SPREADSHEETS = frozenset({".xlsx", ".xls", ".xlsm", ".ods", ".numbers"})


def _is_pipe(file: Path) -> bool:
    try:
        return file.exists() and not file.is_file() and not file.is_dir()
    except OSError:
        return False


def _format(path: str, asked: str | None) -> str:
    if asked is not None:
        if asked not in INPUT_FORMATS:
            raise UsageError(f"no input format {asked!r}: there are {', '.join(INPUT_FORMATS)}")
        return asked
    found = read_name(path, INPUT_SUFFIXES)
    if found.format not in INPUT_FORMATS or (
        found.compression is not None and found.format not in COMPRESSIBLE
    ):
        if read_name(path).suffix in _SPREADSHEETS:
            raise UsageError(f"{path}: a spreadsheet cannot be read: save it as CSV (UTF-8)")
        raise UsageError(
            f"{path}: the name does not tell the format: give --format csv, json, jsonl or "
            "parquet, or name it .csv, .tsv, .json, .jsonl, .ndjson (each also .gz or .zst) or "
            ".parquet"
        )
    return found.format


def _reader(kind: str, delimiter: str | None, suffix: str) -> ReaderFactory:
    if kind == "csv":
        mark = None if delimiter is None else _DELIMITERS.get(delimiter, delimiter)
        if mark is not None and (len(mark) != 1 or mark in '"\r\n\0'):
            raise UsageError(f"--delimiter {delimiter!r} is neither one character nor 'tab'")
        return partial(CsvReader, delimiter=mark, usual="\t" if suffix == ".tsv" else ",")
    if delimiter is not None:
        raise UsageError(f"--delimiter is for CSV, and the input is {kind}")
    if kind == "jsonl":
        return JsonlReader
    if kind == "json":
        return JsonReader
    # pyarrow takes a quarter of a second to import.
    from batcher.adapters.sources.readers.parquet_reader import ParquetReader

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


def _spooled(stream: BinaryIO, spool: Spool, name: str, text: Text) -> FileSource:
    try:
        spool.copy(stream)
    except BaseException:
        spool.close()
        raise
    return FileSource(
        name=name,
        open_raw=spool.open,
        compression=None,
        text=text,
        close=spool.close,
    )
