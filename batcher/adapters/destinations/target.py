"""Where an output goes: a file that is complete or absent, or a stream that just flows.

A file is written beside its target as ``<name>.part-<pid>-<token>`` and renamed when it is whole
and on disk. The writer holds a lock on its part; a part that nobody holds is what a killed run left
behind, and the next writer to the same target removes it.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeAlias, cast

from batcher.adapters.destinations.write_behind import WriteBehind
from batcher.core.errors import BatcherError, OutputError, OutputTaken, UsageError
from batcher.ports import Seen

StrPath: TypeAlias = str | os.PathLike[str]

_BUFFER_BYTES: Final = 1 << 20
_SHOWN_CHARACTERS: Final = 80
_PART_SUFFIX: Final = r"\.part-\d+-[0-9a-f]{8}"
_LONGEST: Final = ".manifest.json.part-4194304-01234567"
_PART: Final = re.compile(f".+{_PART_SUFFIX}")
_ADVICE: Final = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some of the quota and run the same command again",
    errno.EPIPE: "the reader of the output has closed it",
}


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Translate the operating system's errors.

    Raises:
        OutputError: in their place, saying which output and what to do.
    """
    try:
        yield
    except OSError as exc:
        advice = _ADVICE.get(exc.errno or 0)
        # Not its own words for it: pyarrow has others.
        message = f"{name}: cannot be written: {os.strerror(exc.errno) if exc.errno else exc}"
        raise OutputError(f"{message}: {advice}" if advice else message) from exc


class Target(Protocol):
    """An output's bytes on their way."""

    name: str
    file: BinaryIO

    def commit(self) -> None:
        """All is written: make it count.

        Raises:
            OutputError: it cannot be brought to disk.
        """
        ...

    def abort(self) -> None:
        """Leave nothing behind; safe to call twice, and after :meth:`commit`."""
        ...


class StreamTarget:
    """Standard output, a pipe or a device: what is written is gone."""

    def __init__(self, file: BinaryIO, *, name: str, owned: bool) -> None:
        """``owned``: close it at the end."""
        self.name = name
        self.file = file
        self._owned = owned

    def commit(self) -> None:
        """See :class:`Target`."""
        with writing(self.name):
            self.file.flush()
            if self._owned:
                self.file.close()

    def abort(self) -> None:
        """See :class:`Target`."""
        if self._owned:
            _close(self.file)


class FileTarget:
    """A regular file; a symbolic link is written through to what it points at."""

    def __init__(self, path: StrPath, seen: Seen = "anything") -> None:
        """Open a part beside the target, which may be replaced where it is what was ``seen``.

        Raises:
            UsageError: the directory is missing or may not be written to.
        """
        self.name = os.fspath(path)
        self._target = check_path(path)
        self._seen = seen
        _remove_stale_parts(self._target)
        self.part, self._written = self._open_part()
        self.file = cast(BinaryIO, io.BufferedRandom(self._written, _BUFFER_BYTES))

    def _open_part(self) -> tuple[Path, WriteBehind]:
        while True:
            name = f"{self._target.name}.part-{os.getpid()}-{secrets.token_hex(4)}"
            part = self._target.with_name(name)
            try:
                descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            except OSError as exc:
                raise _unusable(self.name, exc) from exc
            _lock(descriptor)
            if part.exists():
                return part, WriteBehind(descriptor)
            # Another writer took it for a stale one, before the lock was on.
            os.close(descriptor)

    def settle_soon(self) -> None:
        """Have what was written to the part by its name brought to disk, soon."""
        self._written.settle_soon()

    def commit(self) -> None:
        """See :class:`Target`."""
        with writing(self.name):
            self.file.flush()
            try:
                os.fchmod(self.file.fileno(), stat.S_IMODE(self._target.stat().st_mode))
            except FileNotFoundError:
                pass
            os.fsync(self.file.fileno())
            self._put_into_place()
            self.file.close()
            _sync_directory(self._target.parent)

    def _put_into_place(self) -> None:
        """Rename, over nothing that was not seen before."""
        if self._seen == "nothing":
            try:
                os.link(self.part, self._target)
            except FileExistsError as exc:
                raise _taken(self.name) from exc
            except OSError:  # a file system without hard links
                pass
            else:
                self.part.unlink()
                return
        if self._seen != "anything" and look(self._target) != self._seen:
            raise _taken(self.name)
        self.part.replace(self._target)

    def abort(self) -> None:
        """See :class:`Target`."""
        if self.file.closed:
            return
        self.part.unlink(missing_ok=True)
        _close(self.file)


class Removal:
    """The file of an earlier run that is to be there no more (:class:`batcher.ports.Draft`)."""

    def __init__(self, path: StrPath, seen: Seen) -> None:
        """Removes what was ``seen``, when it is committed."""
        self._path = path
        self._seen = seen

    def commit(self) -> None:
        """See :class:`batcher.ports.Draft`."""
        if self._seen != "anything" and look(self._path) != self._seen:
            raise _taken(os.fspath(self._path))
        remove_file(self._path)

    def abort(self) -> None:
        """Nothing was written."""


def open_target(path: str, stdout: BinaryIO, seen: Seen = "anything") -> FileTarget | StreamTarget:
    """The target at ``path``: ``-`` is ``stdout``, a pipe or device is written to as it is.

    Raises:
        UsageError: it cannot be opened.
    """
    if path == "-":
        return StreamTarget(stdout, name="standard output", owned=False)
    if is_stream(Path(path)):
        try:
            return StreamTarget(Path(path).open("wb"), name=path, owned=True)
        except OSError as exc:
            raise _unusable(path, exc) from exc
    return FileTarget(path, seen)


def look(path: StrPath) -> Seen:
    """What stands at a path, links resolved.

    Raises:
        UsageError: it cannot be looked at.
    """
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as exc:
        raise _unusable(os.fspath(path), exc) from exc
    if not stat.S_ISREG(found.st_mode):
        return "stream"
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def is_same(one: StrPath, other: StrPath) -> bool:
    """Whether two paths lead to one file, whatever the links and spellings; or would."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def is_part_of(path: StrPath, target: StrPath) -> bool:
    """Whether a file would be taken for an unfinished ``target``, and removed."""
    one, other = Path(os.path.realpath(path)), Path(os.path.realpath(target))
    return one.parent == other.parent and bool(_parts_of(other.name).fullmatch(one.name))


def left_parts(path: StrPath) -> list[Path]:
    """What writers to a target that were killed have left, the oldest first."""
    target = Path(os.path.realpath(path))
    try:
        names = os.listdir(target.parent)  # noqa: PTH208 - names alone
    except OSError:
        return []
    pattern = _parts_of(target.name)
    return [target.with_name(name) for name in sorted(names) if pattern.fullmatch(name)]


def check_path(path: StrPath) -> Path:
    """The file that will be replaced, links resolved.

    Raises:
        UsageError: it is a directory, or its own directory is missing or may not be written to.
    """
    name = os.fspath(path)
    target = Path(os.path.realpath(name))
    try:
        os.lstat(f"{target}{_LONGEST}")
    except OSError as exc:
        if exc.errno == errno.ENAMETOOLONG:
            raise UsageError(
                f"{_shown(name)}: the name is too long for what lies beside it"
            ) from exc
    if (mode := _mode(target, name)) is not None and stat.S_ISDIR(mode):
        raise UsageError(f"{name}: is a directory: name a file in it")
    if _PART.fullmatch(target.name):
        raise UsageError(
            f"{name}: this name is reserved for unfinished outputs: name another output"
        )
    above = _mode(target.parent, name)
    if above is None or not stat.S_ISDIR(above):
        raise UsageError(f"{name}: there is no directory {target.parent}: make it first")
    if not is_stream(target) and not os.access(target.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{name}: the directory {target.parent} may not be written to")
    return target


def _mode(path: Path, name: str) -> int | None:
    """The mode of what stands at a path; None where nothing does.

    Raises:
        UsageError: nobody could tell: a link that leads to itself, a directory closed to us.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise _unusable(name, exc) from exc


def _shown(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…"


def remove_file(path: StrPath) -> None:
    """Remove an output of an earlier run, if there is one.

    Raises:
        OutputError: it may not be removed.
    """
    with writing(os.fspath(path)):
        Path(path).unlink(missing_ok=True)
        _sync_directory(Path(path).absolute().parent)


def _unusable(name: str, exc: OSError) -> BatcherError:
    if exc.errno in _ADVICE:
        return OutputError(f"{name}: cannot be written: {exc.strerror}: {_ADVICE[exc.errno]}")
    return UsageError(f"{name}: cannot be written: {exc.strerror or exc}")


def _close(file: BinaryIO) -> None:
    """Close what is given up: what is still buffered is not wanted."""
    try:
        file.close()
    except OSError:
        pass


def is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: its stale parts are for the user to remove.
        return False
    return True


def _remove_stale_parts(target: Path) -> None:
    for part in left_parts(target):
        try:
            descriptor = os.open(part, os.O_RDWR)
        except OSError:
            continue
        try:
            if _lock(descriptor):
                part.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _parts_of(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name) + _PART_SUFFIX)


def _taken(name: str) -> OutputTaken:
    return OutputTaken(
        f"{name}: a file that is not this job's has appeared there meanwhile, and is left alone"
    )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some file systems cannot; the rename is as durable as they make it.
        pass
    finally:
        os.close(descriptor)
