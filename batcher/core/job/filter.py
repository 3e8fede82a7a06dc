"""Which jobs are wanted of all that there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from batcher.core.model import Job, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs are wanted; what is None does not matter. ``since``: made then or later."""

    state: JobState | None = None
    kind: str | None = None
    name: str | None = None
    since: datetime | None = None

    def takes(self, job: Job) -> bool:
        """Whether a job is one of them."""
        return (
            self.state in (None, job.state)
            and self.name in (None, job.name)
            and self.kind in (None, job.description.work.kind)
            and (self.since is None or job.created_at >= self.since)
        )


EVERY_JOB: Final = JobFilter()
