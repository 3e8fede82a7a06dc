"""How often in a row a worker has failed to run a job, with nothing done in between."""

from __future__ import annotations


class FailedRuns:
    """Counts the failures of a process, by job."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, int]] = {}

    def count(self, job_id: str, done: int) -> int:
        """The job failed once more, with so many rows ``done`` by anybody; how often in a row.

        Where more are done than at the failure before, this one is the first.
        """
        times, before = self._failed.get(job_id, (0, done))
        times = 1 if done > before else times + 1
        self._failed[job_id] = (times, done)
        return times

    def forget(self, job_id: str) -> None:
        """The job ended well here, or is nobody's to run any more."""
        self._failed.pop(job_id, None)
