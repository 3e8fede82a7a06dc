"""Giving an SQLite file's free pages back to the disk.

A file that this version made keeps track of them and gives them back a few at a time, between the
commits of others. One of an older version must be rewritten for it, once: that takes the file for
itself, so it is done only where nobody else has it open, and there is room for a second copy.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from batcher.ports import Space

if TYPE_CHECKING:
    from pathlib import Path

_PAGES_AT_ONCE: Final = 512
_WAIT_SECONDS: Final = 5.0
_INCREMENTAL: Final = 2
_WORTH_IT: Final = 0.1
_SLACK_BYTES: Final = 64 << 20
_IN_USE: Final = "another process has the database open: it is rewritten when no process has"


def give_back(path: Path) -> Space:
    """Do so, with connections of its own; the caller's are closed.

    Raises:
        sqlite3.Error: the file cannot be used.
    """
    before = path.stat().st_size
    left = ""
    with closing(_connect(path)) as raw:
        tracked = _pragma(raw, "auto_vacuum") == _INCREMENTAL
        while tracked and _pragma(raw, "freelist_count"):
            if not _hand_on(raw):
                left = "another process keeps writing: it is used again, or given back next time"
                break
        page_bytes, pages = _pragma(raw, "page_size"), _pragma(raw, "page_count")
        free = _pragma(raw, "freelist_count")
    if free and not tracked:
        left = _rewrite(path, pages * page_bytes, free * page_bytes)
    with closing(_connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        free_bytes = _pragma(raw, "freelist_count") * page_bytes
    return Space(
        given_back_bytes=max(0, before - path.stat().st_size),
        free_bytes=free_bytes,
        left_because=left,
    )


def _hand_on(raw: sqlite3.Connection) -> bool:
    """Give some pages back; whether the lock was to be had."""
    try:
        raw.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorname != "SQLITE_BUSY":
            raise
        return False
    return True


def _rewrite(path: Path, size_bytes: int, free_bytes: int) -> str:
    """Rewrite the file so that it keeps track of free pages; why not, if it was not done."""
    if free_bytes < _WORTH_IT * size_bytes:
        return "it is little of the file, and is used again"
    needed = 2 * (size_bytes - free_bytes) + _SLACK_BYTES
    room = shutil.disk_usage(path.parent).free
    if room < needed:
        return (
            f"rewriting the file needs {needed >> 20} MB on its disk, and {room >> 20} MB are free"
        )
    try:
        with closing(_connect(path)) as alone, _temporary_files_in(path.parent):
            alone.execute("PRAGMA locking_mode=EXCLUSIVE")
            alone.execute("BEGIN EXCLUSIVE")
            alone.execute("COMMIT")
            alone.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
            alone.execute("VACUUM")
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorname not in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            raise
        return _IN_USE
    return ""


def _connect(path: Path) -> sqlite3.Connection:
    raw = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    try:
        raw.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error:
        raw.close()
        raise
    return raw


def _pragma(raw: sqlite3.Connection, name: str) -> int:
    return int(raw.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def _temporary_files_in(directory: Path) -> Iterator[None]:
    """SQLite's own copy is made beside the file: there is room, and nobody else may look."""
    former = os.environ.get("SQLITE_TMPDIR")
    os.environ["SQLITE_TMPDIR"] = str(directory)
    try:
        yield
    finally:
        if former is None:
            del os.environ["SQLITE_TMPDIR"]
        else:
            os.environ["SQLITE_TMPDIR"] = former
