"""What a file's name says about it: its format and its compression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, TypeAlias

Compression: TypeAlias = Literal["gz", "zst"]

SUFFIXES = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".npy": "npy",
}
INPUT_SUFFIXES = {**SUFFIXES, ".tsv": "csv", ".json": "json"}
COMPRESSIONS: dict[str, Compression] = {".gz": "gz", ".zst": "zst"}
COMPRESSIBLE = frozenset({"csv", "jsonl", "json"})


@dataclass(frozen=True, slots=True)
class FileName:
    """The parts of a name that mean something; None where they say nothing."""

    format: str | None
    compression: Compression | None
    suffix: str = ""


def read_name(path: str, suffixes: Mapping[str, str] = SUFFIXES) -> FileName:
    """``data.jsonl.gz`` is JSONL in gzip; letters' case does not matter."""
    name = PurePath(path.lower())
    compression = COMPRESSIONS.get(name.suffix)
    if compression is not None:
        name = name.with_suffix("")
    return FileName(suffixes.get(name.suffix), compression, name.suffix)
