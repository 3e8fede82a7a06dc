"""The columns of an input at a glance: for suggestions alone, which may be wrong or missing.

Reads a little of the file's beginning, checks nothing and raises nothing for what it cannot read.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PEEKED_BYTES: Final = 1 << 16
_RECORDS: Final = 20
_DELIMITERS: Final = ",;\t|"


def columns_at_a_glance(path: str, *, delimiter: str | None = None) -> list[str]:
    """The names of a file's columns, in its order; none where they cannot be told quickly."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    if not suffixes or not Path(path).is_file():
        return []
    if suffixes[-1] == ".parquet":
        return _of_parquet(path)
    name = suffixes[-2] if suffixes[-1] in (".gz", ".zst") and len(suffixes) > 1 else suffixes[-1]
    text = _beginning(path, suffixes[-1])
    if name in (".csv", ".tsv"):
        return _of_csv(text, "\t" if delimiter == "tab" or name == ".tsv" else delimiter)
    if name in (".jsonl", ".ndjson", ".json"):
        return list(dict.fromkeys(_keys(text)))
    return []


def _beginning(path: str, suffix: str) -> str:
    """As much of the text as says enough; empty where it cannot be read."""
    try:
        with closing(_opened(path, suffix)) as file:
            peeked = file.read(_PEEKED_BYTES)
    except (OSError, ValueError, EOFError):
        return ""
    if peeked.startswith((b"\xff\xfe", b"\xfe\xff")):
        return peeked.decode("utf-16", errors="ignore")
    return peeked.decode("utf-8-sig", errors="replace")


def _opened(path: str, suffix: str) -> BinaryIO:
    if suffix == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"))
    file: BinaryIO = io.BufferedReader(io.FileIO(path))
    if suffix != ".zst":
        return file
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(file, closefd=True)


def _of_csv(text: str, delimiter: str | None) -> list[str]:
    first, _, rest = text.partition("\n")
    if first.startswith("sep=") and len(first.rstrip("\r")) == 5:
        delimiter, first = first[4], rest.partition("\n")[0]
    if delimiter is None or len(delimiter) != 1:
        delimiter = max(_DELIMITERS, key=first.count)
    try:
        return next(csv.reader([first.rstrip("\r")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _keys(text: str) -> Iterator[str]:
    for line in text.split("\n")[:_RECORDS]:
        try:
            record = json.loads(line.strip().lstrip("[").rstrip(",]"))
        except ValueError:
            continue
        if isinstance(record, dict):
            yield from record


def _of_parquet(path: str) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return []
