"""One process a job: the lock ends with its owner, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batcher.adapters.system.job_lock import job_lock
from batcher.core.errors import JobInUse, UnusableStore

_HOLD = """
import sys
from pathlib import Path
from batcher.adapters.system.job_lock import job_lock
with job_lock(Path(sys.argv[1]), "job"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.process
def test_a_second_process_is_refused_and_told_who_holds_it_until_that_is_killed(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(JobInUse, match=f"process {holder.pid}: wait for it"),
            job_lock(tmp_path, "job"),
        ):
            pytest.fail("two processes hold one lock")
        with job_lock(tmp_path, "another"):
            pass
        holder.kill()
        holder.wait()
    with job_lock(tmp_path, "job"):
        assert (tmp_path / "job.lock").read_text() == str(os.getpid())
    with job_lock(tmp_path, "job"):
        pass


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/locks", "x" * 300):
        with (
            pytest.raises(UnusableStore, match="lock of a job cannot be made"),
            job_lock(tmp_path / place, "job"),
        ):
            raise AssertionError("held")
