"""Small JSON files beside an output: the errors and the manifest, complete or absent alike."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from batcher.adapters.files.layout import json_bytes
from batcher.adapters.files.target import FileTarget, StrPath, remove_file, writing


async def write_json_lines(path: StrPath, records: AsyncIterable[Mapping[str, Any]]) -> int:
    """One object a line; returns how many. Without any, the file of an earlier run is removed.

    Raises:
        UsageError: the directory is missing or may not be written to.
        OutputError: it could not be written to its end.
    """
    target = FileTarget(path)
    count = 0
    try:
        async for record in records:
            with writing(target.name):
                target.file.write(json_bytes(record) + b"\n")
            count += 1
        if count:
            target.commit()
    finally:
        target.abort()
    if not count:
        remove_file(path)
    return count


def write_json(path: StrPath, value: Mapping[str, Any]) -> None:
    """One object, indented for reading.

    Raises:
        UsageError: the directory is missing or may not be written to.
        OutputError: it could not be written to its end.
    """
    target = FileTarget(path)
    try:
        with writing(target.name):
            target.file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
        target.commit()
    finally:
        target.abort()


def read_json(path: StrPath) -> Mapping[str, Any] | None:
    """The object in a file; None where there is no such file or it holds no object."""
    try:
        value = orjson.loads(Path(path).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None
