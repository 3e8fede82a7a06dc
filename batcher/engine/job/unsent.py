"""Jobs that never got anything sent: a newer attempt replaces them, so they do not pile up.

A wrong key, address or model ends a run before anything comes of it, and the command that is right
makes another job. Only such jobs go that stopped by themselves: what waits for workers, for a time
that a provider named or for somebody who has paused it looks much the same, and stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batcher.core.errors import BatcherError
from batcher.core.job.filter import JobFilter
from batcher.core.model import JobState, StopCause
from batcher.engine.job.purging import remove

if TYPE_CHECKING:
    from batcher.core.model import Job, Tally
    from batcher.engine.services import Services

_STOPPED = (
    StopCause.REFUSED, StopCause.PROVIDER, StopCause.INPUT, StopCause.KIND, StopCause.PLAN,
)  # fmt: skip
_MOST = 100


async def replace_unsent(services: Services, job: Job) -> list[str]:
    """Delete former attempts at a job that was made just now; returns their ids.

    They are of the same kind, input and name. No result is lost with them, and nothing that was
    billed or may have been.
    """
    store, gone = services.store, []
    for state in (JobState.PAUSED, JobState.CANCELLED):
        stopped = [
            former
            for former in await store.jobs(limit=_MOST, wanted=JobFilter(state=state))
            if former.cause in _STOPPED and former.resume_at is None and _is_attempt(former, job)
        ]
        tallies = await store.tallies([former.id for former in stopped]) if stopped else {}
        for former in stopped:
            if former.id in tallies and is_unsent(tallies[former.id]):
                try:
                    with services.lock(former.id):
                        await remove(store, former.id)
                except BatcherError:  # somebody takes it up at this moment, or has deleted it
                    continue
                gone.append(former.id)
    return gone


def is_unsent(tally: Tally) -> bool:
    """Whether nothing came of a job, and nothing may have been billed; refusals are not billed."""
    usage, doubt = tally.usage, tally.doubt
    return not (
        tally.rows_done or tally.pieces_done or usage.prompt_tokens or usage.completion_tokens
        or usage.cost_picousd or doubt.requests or doubt.kept_requests
    )  # fmt: skip


def _is_attempt(former: Job, job: Job) -> bool:
    """Whether both were asked for by hand, and of the same input."""
    if former.id == job.id or former.schedule is not None or job.schedule is not None:
        return False
    theirs, ours = former.description, job.description
    same = (theirs.work.kind, theirs.input.address, former.name)
    return same == (ours.work.kind, ours.input.address, job.name)
