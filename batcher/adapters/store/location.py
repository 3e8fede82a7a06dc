"""Where a database is: what ``--db`` says, and whether SQLite may live there."""

from __future__ import annotations

import os
from pathlib import Path

from batcher.core.errors import UnusableStore, UsageError

MEMORY = "memory://"

_SQLITE = ("sqlite+aiosqlite:///", "sqlite:///")
_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    """
    afpfs afs beegfs ceph cifs davfs fuse.ceph fuse.davfs2 fuse.gcsfuse fuse.glusterfs fuse.juicefs
    fuse.rclone fuse.s3fs fuse.sshfs glusterfs gpfs lustre ncpfs nfs nfs4 orangefs smb2 smb3 smbfs
    """.split()
)


def sqlite_path(url: str) -> Path:
    """The absolute path of the file that a ``sqlite:///`` URL, or a plain path, names.

    Raises:
        UsageError: it is neither.
    """
    for scheme in _SQLITE:
        if url.startswith(scheme):
            name = url[len(scheme) :]
            break
    else:
        if "://" in url or not url:
            scheme = url.partition("://")[0]
            raise UsageError(
                f"--db: {scheme!r} is not a kind of database; give a path, sqlite:///PATH or "
                "postgresql://…"
            )
        name = url
    if not name or ":memory:" in name or "?" in name or "\0" in name:
        raise UsageError("--db: give the path of a file, without options; memory:// keeps nothing")
    try:
        return Path(name).absolute()
    except FileNotFoundError as exc:
        raise UsageError("the working directory no longer exists: change to another one") from exc


def is_there(path: Path) -> bool:
    """Whether something stands at a path, as far as anybody can tell."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def require_local(path: Path) -> None:
    """Refuse a directory on a network file system, as far as the system tells (Linux).

    Raises:
        StoreError: WAL needs memory shared between the processes that use the file, which
            machines do not have; a lock that does not hold would lose rows.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    kind = file_system(Path(os.path.realpath(path)), mounts)
    if kind in _NETWORK:
        raise UnusableStore(
            f"database {path}: {kind} is a network file system, where SQLite is not safe; "
            "name a file on a local disk with --db"
        )


def file_system(path: Path, mounts: str) -> str | None:
    """The type of the file system that holds ``path``, from the text of a ``mountinfo``.

    The mount that comes last wins among those of the longest path, as in the kernel.
    """
    best: tuple[int, str] | None = None
    for line in mounts.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if not separator or len(fields) < 5:
            continue
        mount = Path(_unescaped(fields[4]))
        if path.is_relative_to(mount) and (best is None or len(mount.parts) >= best[0]):
            best = (len(mount.parts), right.split(" ")[0])
    return best[1] if best is not None else None


def _unescaped(field: str) -> str:
    """A field of ``mountinfo``, where blanks and backslashes are octal."""
    for code, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        field = field.replace(f"\\{code}", character)
    return field
