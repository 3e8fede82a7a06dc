"""Jobs in the store, cut by who uses them: read, moved, opened, deleted. One transaction a verb.

All verbs but those of :class:`JobPurges` raise :class:`batcher.core.errors.UsageError` for an
unknown job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from batcher.core.job.filter import EVERY_JOB, JobFilter
from batcher.core.model import Job, JobEvent, Learned, StopCause, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What a database gave back to the disk, and what it holds free for what it will write.

    ``left_because`` says why something is left, empty where nothing is to be said.
    """

    given_back_bytes: int = 0
    free_bytes: int = 0
    left_because: str = ""


class JobLookup(Protocol):
    """What whoever asks for one job needs."""

    async def job(self, job_id: str) -> Job:
        """The job of that id, or of a unique prefix of it.

        Raises:
            batcher.core.errors.UsageError: none, or several.
        """
        ...


class JobReads(JobLookup, Protocol):
    """What whoever looks at jobs needs."""

    async def jobs(
        self, *, limit: int = 100, wanted: JobFilter = EVERY_JOB, after: str | None = None
    ) -> list[Job]:
        """Jobs, newest first; up to ``limit`` of those that are wanted, by one query.

        ``after`` is the id of a job: those that follow it in the list.
        """
        ...

    async def tally(self, job_id: str) -> Tally:
        """Sums over the job's shards, and its dead letters."""
        ...

    async def tallies(self, job_ids: Sequence[str]) -> dict[str, Tally]:
        """The same of many jobs, by id; those that are gone have none."""
        ...


class JobChanges(Protocol):
    """What whoever runs a job needs: its state, and what is learned of it."""

    async def move(
        self,
        job_id: str,
        event: JobEvent,
        *,
        cause: StopCause | None = None,
        reason: str | None = None,
        resume_at: datetime | None = None,
    ) -> Job:
        """Apply an event of the transition table; what has stopped the job is replaced.

        That is ``cause``, ``reason`` and ``resume_at``.

        ``finished_at`` is set when the job is completed or cancelled, and unset when it is open
        again.

        Raises:
            batcher.core.errors.IllegalTransition: the state does not allow it.
        """
        ...

    async def complete(self, job_id: str) -> bool:
        """COMPLETE the job if it is planned and no shard is open, in one transaction.

        Returns whether the job is complete now. False, too, where its state does not allow it.
        """
        ...

    async def learn(self, job_id: str, learned: Learned) -> None:
        """Keep what the provider taught."""
        ...

    async def set_budget(self, job_id: str, budget_picousd: int | None) -> None:
        """Replace the job's budget."""
        ...

    async def set_output(self, job_id: str, output: str) -> None:
        """Keep where the job's records were last asked for."""
        ...


class JobOpenings(Protocol):
    """What whoever opens a job needs."""

    async def open_job(self, job: Job, *, fresh: bool) -> tuple[Job, bool]:
        """The newest uncancelled job of this fingerprint, or ``job`` inserted as a new generation.

        ``fresh`` always inserts. Returns the job and whether it was made. Two callers at once get
        the same job. The ``generation`` of ``job`` is replaced by the next free one, from 1.

        Where ``job`` has a name, a job of another name is not taken for it; one without a name is,
        and bears that name from now on.
        """
        ...

    async def newest(self, fingerprint: str, name: str | None) -> Job | None:
        """The job that :meth:`open_job` would find for one of these; None where it would insert."""
        ...

    async def last_complete(self, name: str) -> Job | None:
        """The complete job of that name that ended last; None where there is none."""
        ...


class JobPurges(Protocol):
    """What whoever deletes jobs needs."""

    async def purge(self, job_id: str) -> None:
        """Delete the job and everything of it; idempotent.

        A job whose deletion was cut short is cancelled: it is never resumed, and may be purged
        again.
        """
        ...

    async def purge_all(self, job_ids: Sequence[str]) -> None:
        """The same of many jobs."""
        ...

    async def give_back(self) -> Space:
        """Give space that deletions left back to the disk, as far as nobody has to wait for it."""
        ...


class JobStore(JobReads, JobChanges, JobOpenings, JobPurges, Protocol):
    """All of it."""
