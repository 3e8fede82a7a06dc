"""One process a job on one machine: an operating system's lock on a file beside the database.

The lock ends with its process, however that ends. So who obtains it knows that a former owner is
dead, and that its leases may be taken at once.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batcher.adapters.system.private_files import make_directory, open_locked
from batcher.core.errors import JobInUse, UnusableStore

_LOOKS_SECONDS = 30.0
_TRY_AGAIN_SECONDS = 0.002


def job_owner(directory: Path, job_id: str) -> str:
    """The process that holds a job's lock; empty where none does."""
    try:
        descriptor = os.open(directory / f"{job_id}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _owner(descriptor) or "another"
    finally:
        os.close(descriptor)
    return ""


def _owner(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()


def _lock(descriptor: int) -> None:
    """Obtain the lock, as soon as those are gone who only look at it.

    Who looks shares the lock for a moment, which may be long on a busy machine; who holds it shares
    it with nobody.

    Raises:
        OSError: another process holds it.
    """
    end = time.monotonic() + _LOOKS_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end:
                raise
        else:
            return
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # fails where somebody holds it
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(_TRY_AGAIN_SECONDS)


@contextmanager
def job_lock(directory: Path, job_id: str) -> Iterator[None]:
    """Hold the job's lock.

    Raises:
        JobInUse: another process holds it; the message names that process.
        UnusableStore: it cannot be made.
    """
    try:
        make_directory(directory)
        descriptor = open_locked(directory / f"{job_id}.lock")
    except OSError as exc:
        raise UnusableStore(
            f"the lock of a job cannot be made in {directory}: {exc.strerror}; it stands beside "
            "the database: make room for it there, or name another with --db"
        ) from exc
    try:
        try:
            _lock(descriptor)
        except OSError as exc:
            owner = _owner(descriptor) or "another"
            raise JobInUse(
                f"job {job_id} is being run by process {owner}: wait for it, or end it first"
            ) from exc
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
