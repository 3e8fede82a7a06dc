"""Small JSON files beside an output: the errors and the manifest, complete or absent alike."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from batcher.adapters.destinations.target import FileTarget, Removal, StrPath, left_parts, writing
from batcher.adapters.formats.json_text import json_bytes
from batcher.ports import Draft, Seen

_MOST_BYTES: Final = 64 << 20
"""More than any manifest has: what is longer is none."""


async def draft_json_lines(
    path: StrPath, records: AsyncIterable[Mapping[str, Any]], seen: Seen = "anything"
) -> Draft:
    """One object a line; without any, the file of an earlier run will be removed.

    ``seen`` is what may be replaced.

    Raises:
        UsageError: the directory is missing or may not be written to.
        OutputError: it could not be written to its end.
    """
    target = FileTarget(path, seen)
    try:
        empty = True
        async for record in records:
            with writing(target.name):
                target.file.write(json_bytes(record) + b"\n")
            empty = False
    except BaseException:
        target.abort()
        raise
    if empty:
        target.abort()
        return Removal(path, seen)
    return target


def draft_json(path: StrPath, value: Mapping[str, Any], seen: Seen = "anything") -> Draft:
    """One object, indented for reading; ``seen`` is what may be replaced.

    What is written is on disk, beside its target, before this returns.

    Raises:
        UsageError: the directory is missing or may not be written to.
        OutputError: it could not be written to its end.
    """
    target = FileTarget(path, seen)
    try:
        with writing(target.name):
            target.file.write(_indented(value) + b"\n")
            target.file.flush()
            os.fsync(target.file.fileno())
    except BaseException:
        target.abort()
        raise
    return target


def read_drafts(path: StrPath) -> list[Mapping[str, Any]]:
    """The object in a file, and those that killed writers were about to put there."""
    found = (read_json(place) for place in (path, *left_parts(path)))
    return [value for value in found if value is not None]


def _indented(value: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except orjson.JSONEncodeError:
        return json_bytes(value)


def _content(path: Path) -> bytes:
    """The bytes of a file; nothing of what is no file, which nobody may ever write to."""
    if not stat.S_ISREG(path.stat().st_mode):
        return b""
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def read_json(path: StrPath) -> Mapping[str, Any] | None:
    """The object in a file; None where there is no such file or it holds no object."""
    try:
        value = orjson.loads(_content(Path(path)))
    except (OSError, orjson.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None
