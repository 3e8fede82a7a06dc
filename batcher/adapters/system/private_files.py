"""Files of state that nobody else may read: they hold rows, prompts and results.

What is made here is private from its first moment, whatever the umask. In ``.batcher``, which is
ours alone, what an earlier version has left open to others is closed; a database elsewhere that is
there already keeps the rights that its owner has given it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

STATE_DIRECTORY = Path(".batcher")
_FILE = 0o600
_DIRECTORY = 0o700
_COMPANIONS = ("", "-wal", "-shm", "-journal")


def is_state(directory: Path) -> bool:
    """Whether a directory is ``.batcher``, or lies in one."""
    return STATE_DIRECTORY.name in directory.parts


def make_folder(directory: Path) -> None:
    """Make the directory that state is put into: private in ``.batcher``, elsewhere the user's.

    Raises:
        OSError: it cannot be made.
    """
    if is_state(directory):
        make_directory(directory)
    else:
        directory.mkdir(parents=True, exist_ok=True)


def make_directory(directory: Path) -> None:
    """Make a directory that is private, wherever it is, and those above it as need be.

    Raises:
        OSError: it cannot be made.
    """
    make_folder(directory.parent)
    directory.mkdir(mode=_DIRECTORY, exist_ok=True)
    _close(directory, _DIRECTORY)


def make_file(path: Path) -> None:
    """Make an empty file, where there is none.

    Raises:
        OSError: it cannot be made.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, _FILE))


def make_database(path: Path) -> None:
    """Make an SQLite file, in a directory that is there: its companions get its rights.

    Raises:
        OSError: it cannot be made.
    """
    if is_state(path.parent):
        for companion in _COMPANIONS:
            _close(path.with_name(path.name + companion), _FILE)
    make_file(path)


def open_locked(path: Path) -> int:
    """Open a file for a lock, made if need be; returns its descriptor.

    Raises:
        OSError: it cannot be opened.
    """
    make_file(path)
    _close(path, _FILE)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE)


def _close(path: Path, mode: int) -> None:
    """Take rights from others; what is not there, or not ours, stays as it is."""
    try:
        found = path.stat()
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != mode:
            path.chmod(mode)
    except OSError:
        pass  # another process is removing it, or a file system without rights
