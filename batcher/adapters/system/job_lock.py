"""One process a job on one machine: an operating system's lock on a file beside the database.

The lock ends with its process, however that ends. So who obtains it knows that a former owner is
dead, and that its leases may be taken at once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batcher.adapters.system.private_files import make_directory, open_locked
from batcher.core.errors import JobInUse, UnusableStore


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
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "another"
            raise JobInUse(
                f"job {job_id} is being run by process {owner}: wait for it, or end it first"
            ) from exc
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
