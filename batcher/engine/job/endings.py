"""How a run ends: why, with which state of the job, and with which exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from batcher.core.errors import (
    BatcherError,
    InputError,
    KindFailed,
    KindNotHere,
    NotAllowed,
    PlanFailed,
    UsageError,
)
from batcher.core.failures.unforeseen import described
from batcher.core.model import Job, JobEvent, JobState, StopCause
from batcher.ports import JobChanges, JobReads

LEAST_ROOM_BYTES = 128 << 20
"""What is in flight when a run stops, 8,192 vectors say, goes into the database's log and from
there into its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One way a run can end.

    ``event`` moves the job (None: its state stays, and the next run goes on) for ``cause``;
    ``reason`` is said to the user. ``error`` is raised once all is written down.
    """

    status: str
    exit_code: int
    event: JobEvent | None = None
    cause: StopCause | None = None
    reason: str | None = None
    resume_at: datetime | None = None
    error: BatcherError | None = None


_STATUS_AND_EXIT_CODE: Final[Mapping[StopCause, tuple[str, int]]] = {
    StopCause.BY_HAND: ("paused", 5),
    StopCause.PROVIDER: ("paused", 5),
    StopCause.REFUSED: ("stopped", 2),
    StopCause.BUDGET: ("over_budget", 4),
    StopCause.DEAD_LETTER: ("stopped", 3),
    StopCause.INPUT: ("stopped", 2),
    StopCause.KIND: ("failed", 1),
    StopCause.PLAN: ("failed", 1),
    StopCause.RUN: ("failed", 1),
}


class JobMoves(JobReads, JobChanges, Protocol):
    """What whoever ends a job needs of a store."""


async def apply_ending(store: JobMoves, job_id: str, ending: Ending) -> Job:
    """Move a job as an ending says, which has an event.

    Raises:
        IllegalTransition: its state does not allow it.
    """
    assert ending.event is not None
    return await store.move(
        job_id,
        ending.event,
        cause=ending.cause,
        reason=ending.reason,
        resume_at=ending.resume_at,
    )


def may_pass(error: BaseException) -> bool:
    """Whether what was raised may be otherwise the next time, here or elsewhere.

    A kind that is not installed here may be there elsewhere.
    """
    if isinstance(error, KindNotHere):
        return True
    if isinstance(error, InputError | KindFailed | PlanFailed | UsageError):
        return False
    return isinstance(error, BatcherError | OSError | MemoryError) or not isinstance(
        error, Exception
    )


class Endings:
    """The endings there are."""

    @staticmethod
    def of(job: Job) -> Ending:
        """How a job has ended that somebody else has ended, as its state tells.

        One that was cancelled is over for good: no exit code that says "run it again" is true.
        """
        if job.state is JobState.COMPLETE:
            return Endings.complete()
        if job.cause is None:
            exit_code = 5 if job.state is JobState.PAUSED else 1
            return Ending(status=str(job.state), exit_code=exit_code, reason=job.reason)
        # The job has been moved, and may have been moved on since: not again.
        return replace(_stopped(job.cause, job.reason, resume_at=job.resume_at), event=None)

    @staticmethod
    def complete() -> Ending:
        """All rows are settled."""
        return Ending(status="complete", exit_code=0)

    @staticmethod
    def interrupted() -> Ending:
        """A signal came; the next run resumes."""
        return Ending(status="interrupted", exit_code=130, reason="interrupted")

    @staticmethod
    def idle() -> Ending:
        """There was nothing to claim for a while: what is left is with others, or not planned."""
        return Ending(status="idle", exit_code=0)

    @staticmethod
    def paused(reason: str, wait_seconds: float | None = None, *, wall: float) -> Ending:
        """The provider will not go on for now, or for so long as it says; ``wall`` is Unix time."""
        resume_at = None
        if wait_seconds is not None:
            resume_at = datetime.fromtimestamp(wall + wait_seconds, UTC)
        return _stopped(StopCause.PROVIDER, reason, resume_at=resume_at)

    @staticmethod
    def refused(reason: str) -> Ending:
        """The provider refuses all requests alike."""
        return _stopped(StopCause.REFUSED, reason)

    @staticmethod
    def input_changed(reason: str) -> Ending:
        """What was planned is not the input that the job was opened for: never resume it."""
        return _stopped(StopCause.INPUT, reason, event=JobEvent.CANCEL)

    @staticmethod
    def unreadable(reason: str) -> Ending:
        """The input could be read before, and may be again."""
        return _stopped(StopCause.INPUT, reason)

    @staticmethod
    def of_planning(error: Exception) -> Ending:
        """Planning raised this.

        What may be otherwise the next time (a database or a disk that is away, memory that others
        had taken) interrupts; whatever else is raised would be raised again.
        """
        if isinstance(error, InputError):
            return Endings.input_changed(str(error))
        if isinstance(error, KindFailed):
            return Endings.kind_failed(str(error))
        if isinstance(error, PlanFailed | UsageError):
            return Endings.unreadable(str(error))
        if may_pass(error):
            return Endings.interrupted()
        return Endings.plan_failed(described(error))

    @staticmethod
    def plan_failed(what: str) -> Ending:
        """Its plan cannot be made, for a reason that batcher has no words for."""
        return _stopped(
            StopCause.PLAN,
            f"the plan cannot be made: {what}: that is a bug in batcher, which this input "
            "triggers; once it is fixed, the same command goes on",
        )

    @staticmethod
    def plan_given_up(tries: int) -> Ending:
        """Whoever took the plan up ended, or was ended, without getting any further."""
        return _stopped(
            StopCause.PLAN,
            f"the plan cannot be made: given up after {tries} tries in a row without progress; "
            "the workers' logs say why. `batcher resume` tries again",
        )

    @staticmethod
    def run_given_up(tries: int, what: str) -> Ending:
        """A worker failed to run it again and again, and nothing was done in between."""
        return _stopped(
            StopCause.RUN,
            f"given up after {tries} runs in a row that failed: {what}: that is a bug in "
            "batcher, which this job triggers; the workers' logs say more, and `batcher resume` "
            "tries again",
        )

    @staticmethod
    def out_of_budget(reason: str) -> Ending:
        """The next request might cost more than is left."""
        return _stopped(StopCause.BUDGET, f"stopped by its budget: {reason}")

    @staticmethod
    def kind_failed(reason: str) -> Ending:
        """The kind's package is at fault."""
        return _stopped(StopCause.KIND, reason)

    @staticmethod
    def not_allowed(error: NotAllowed) -> Ending:
        """A row needs what may not be reached here; the job stays open for who may."""
        return Ending(status="failed", exit_code=2, reason=str(error), error=error)

    @staticmethod
    def cramped(room_bytes: int) -> Ending:
        """What is on its way might not fit on the database's disk; the job stays open."""
        reason = (
            f"the database's disk has {room_bytes >> 20} MB left, and results on their way may "
            f"need {LEAST_ROOM_BYTES >> 20} MB: free some space"
        )
        return Ending(status="failed", exit_code=1, reason=reason)

    @staticmethod
    def at_dead_letter() -> Ending:
        """The first dead letter came, and the job was to stop there."""
        return _stopped(StopCause.DEAD_LETTER, "stopped at a failed row")

    @staticmethod
    def by_hand() -> Ending:
        """Its user wants no more to be sent for now."""
        return _stopped(StopCause.BY_HAND, "by hand")


def _stopped(
    cause: StopCause,
    reason: str | None,
    *,
    event: JobEvent = JobEvent.PAUSE,
    resume_at: datetime | None = None,
) -> Ending:
    status, exit_code = _STATUS_AND_EXIT_CODE[cause]
    return Ending(
        status=status,
        exit_code=exit_code,
        event=event,
        cause=cause,
        reason=reason,
        resume_at=resume_at,
    )
