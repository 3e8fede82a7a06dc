"""A job's moves, the same in every store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batcher.core.errors import UsageError
from batcher.core.model import JobEvent, JobState, StopCause, advance
from batcher.ports import Order, OrderState

if TYPE_CHECKING:
    from batcher.core.model import Job
    from batcher.ports import Firing, Schedule


DEAD_KEPT_SECONDS = 86_400.0
"""How long a worker that died without leaving is still listed."""


def works_for(owner: str, worker: str) -> bool:
    """Whether a lease's owner is this worker, or one of its runs."""
    return owner == worker or owner.startswith(f"{worker}/")


def moved(
    job: Job,
    event: JobEvent,
    *,
    now: float,
    cause: StopCause | None = None,
    reason: str | None = None,
    resume_at: datetime | None = None,
) -> Job:
    """The job after an event: its state, why, and when it ended.

    Raises:
        IllegalTransition: the state does not allow it.
    """
    state = advance(job.state, event)
    if state is job.state is JobState.PAUSED and job.cause is StopCause.BY_HAND:
        return job  # what stops a run that is winding down must not have it go on by itself
    ended = state in {JobState.COMPLETE, JobState.CANCELLED}
    return replace(
        job,
        state=state,
        cause=cause,
        reason=reason,
        resume_at=resume_at,
        finished_at=(job.finished_at or utc(now)) if ended else None,
        plan_tries=0 if event is JobEvent.RESUME else job.plan_tries,
    )


def is_there_already(job: Job, ordinal: int | None, *, next_row: int, planned: bool) -> bool:
    """Whether the plan stands where a shard, or a mere cursor, that is sent again has left it.

    Under one fence only its owner can have written that.
    """
    next_shard = job.plan_shard if ordinal is None else ordinal + 1
    return (job.plan_row, job.plan_shard, job.planned) == (next_row, next_shard, planned)


def fired(schedule: Schedule, firing: Firing, *, now: float, busy: str | None) -> Order:
    """The order that a firing is; ``busy`` says what of the schedule is under way."""
    skipped = firing.skipped or busy
    return Order(
        id=firing.order_id,
        blueprint=schedule.blueprint,
        fresh=True,
        asked_at=utc(now),
        state=OrderState.WAITING if skipped is None else OrderState.SKIPPED,
        schedule=schedule.name,
        due_at=firing.due,
        error=skipped,
    )


UNPLANNABLE = (StopCause.INPUT, StopCause.KIND, StopCause.PLAN)
"""Causes for which a job without a whole plan keeps no later run of its schedule from firing."""


def is_under_way(job: Job) -> bool:
    """Whether a schedule waits for the job, as for one that is paused; not where its plan failed.

    A later run has an input of its own.
    """
    unplannable = not job.planned and job.cause in UNPLANNABLE
    return job.state is JobState.OPEN or (job.state is JobState.PAUSED and not unplannable)


def under_way(job_id: str | None, state: str | None) -> str:
    """Why a schedule does not fire whose former run is not over."""
    if job_id is None:
        return "the run before it waits for a worker"
    return f"the run before it, job {job_id}, is {state or JobState.OPEN}"


def unknown_order(order_id: str) -> UsageError:
    """The error for an id that names no order."""
    return UsageError(f"there is no order {order_id!r} for a job any more")


def unknown_job(job_id: str, *, several: bool = False) -> UsageError:
    """The error for an id that names no job, or more than one."""
    if several:
        return UsageError(f"several jobs begin with {job_id!r}: give more of the id")
    return UsageError(f"there is no job {job_id!r}: `batcher jobs` lists the jobs")


def utc(wall: float) -> datetime:
    """A Unix time as an aware datetime."""
    return datetime.fromtimestamp(wall, tz=UTC)
