"""How a run ends: why, with which state of the job, and with which exit code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from batcher.core.errors import BatcherError, InputError, KindFailed
from batcher.core.model import Job, JobEvent, JobState

OVER_BUDGET = "stopped by its budget"
"""How the reason of a job begins that a budget has paused: all that the store keeps of it."""
AT_DEAD_LETTER = "stopped at a dead letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One way a run can end.

    ``event`` moves the job (None: its state stays, and the next run goes on); ``reason`` is said
    to the user.
    """

    status: str
    exit_code: int
    event: JobEvent | None = None
    reason: str | None = None
    resume_at: datetime | None = None


class Endings:
    """The endings there are."""

    @staticmethod
    def of(job: Job) -> Ending:
        """How somebody else's work on a job has ended, as its state tells."""
        if job.state is JobState.COMPLETE:
            return Endings.complete()
        if job.state is JobState.PAUSED:
            status, exit_code = "paused", 5
            if is_over_budget(job.reason):
                status, exit_code = "over_budget", 4
            elif job.reason == AT_DEAD_LETTER:
                status, exit_code = "stopped", 3
            return Ending(
                status=status, exit_code=exit_code, reason=job.reason, resume_at=job.resume_at
            )
        return Ending(status=str(job.state), exit_code=130, reason=job.reason)

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
        return Ending(
            status="paused",
            exit_code=5,
            event=JobEvent.PAUSE,
            reason=reason,
            resume_at=resume_at,
        )

    @staticmethod
    def refused(reason: str) -> Ending:
        """The provider refuses all requests alike."""
        return Ending(status="stopped", exit_code=2, event=JobEvent.PAUSE, reason=reason)

    @staticmethod
    def input_changed(reason: str) -> Ending:
        """What was planned is not the input that the job was opened for: never resume it."""
        return Ending(status="stopped", exit_code=2, event=JobEvent.CANCEL, reason=reason)

    @staticmethod
    def of_planning(error: BatcherError) -> Ending:
        """Planning raised this."""
        if isinstance(error, InputError):
            return Endings.input_changed(str(error))
        if isinstance(error, KindFailed):
            return Endings.kind_failed(str(error))
        return Endings.interrupted()

    @staticmethod
    def out_of_budget(reason: str) -> Ending:
        """The next request might cost more than is left."""
        return Ending(
            status="over_budget",
            exit_code=4,
            event=JobEvent.PAUSE,
            reason=f"{OVER_BUDGET}: {reason}",
        )

    @staticmethod
    def kind_failed(reason: str) -> Ending:
        """The kind's package is at fault."""
        return Ending(status="failed", exit_code=1, event=JobEvent.PAUSE, reason=reason)

    @staticmethod
    def at_dead_letter() -> Ending:
        """The first dead letter came, and the job was to stop there."""
        return Ending(status="stopped", exit_code=3, event=JobEvent.PAUSE, reason=AT_DEAD_LETTER)

    @staticmethod
    def moved(status: str) -> Ending:
        """Somebody else paused or cancelled the job."""
        return Ending(status=status, exit_code=130, reason=f"the job was {status} from outside")


def is_over_budget(reason: str | None) -> bool:
    """Whether this is why a job is paused."""
    return reason is not None and reason.startswith(OVER_BUDGET)
