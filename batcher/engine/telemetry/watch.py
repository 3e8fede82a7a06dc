"""A job seen from elsewhere: the figures that its workers leave in the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from batcher.core.model import Job, JobState, Tally, Usage
from batcher.engine.job.report import rows_total
from batcher.engine.telemetry.run_stats import RunStats
from batcher.ports import Clock, DeliveryReads, JobReads

LOOK_SECONDS = 1.0


class Watched(JobReads, DeliveryReads, Protocol):
    """What whoever watches a job needs of a store."""


async def watch(
    store: Watched, clock: Clock, job_id: str, *, priced: bool, on_live: Callable[[RunStats], None]
) -> Job:
    """Keep the figures up to date until the job is no longer open; returns it as it is then.

    One that is complete, and to be delivered by somebody, is followed until it has been, or could
    not be.

    ``on_live`` is given the figures once. What only a worker knows (limits, requests in flight) is
    not among them.

    Raises:
        UsageError: there is no such job, or several.
    """
    job = await store.job(job_id)
    base = await store.tally(job.id)
    live = RunStats(
        rows=rows_total(job, job.description),
        base=base,
        started_at=clock.now(),
        priced=priced,
    )
    _show(live, job, base)
    on_live(live)
    while job.state is JobState.OPEN or await _is_awaited(store, job):
        await clock.sleep(LOOK_SECONDS)
        job = await store.job(job.id)
        tally = await store.tally(job.id)
        live.carry(tally.rows_carried - base.rows_carried)
        base = tally
        _show(live, job, tally)
    return job


async def _is_awaited(store: DeliveryReads, job: Job) -> bool:
    """Whether a delivery is still to come of which nothing is known yet."""
    if job.state is not JobState.COMPLETE:
        return False
    delivery = await store.delivery(job.id)
    if delivery is None or delivery.delivered_at is not None:
        return False
    return not delivery.failed


def _show(live: RunStats, job: Job, tally: Tally) -> None:
    base = live.base
    live.rows_planned = live.rows if job.planned else job.plan_row
    live.rows_done = tally.rows_done - base.rows_done
    live.dead = tally.rows_failed - base.rows_failed
    live.requests = tally.usage.requests - base.usage.requests
    live.usage = _less(tally.usage, base.usage)


def _less(usage: Usage, base: Usage) -> Usage:
    return Usage(
        requests=usage.requests - base.requests,
        prompt_tokens=usage.prompt_tokens - base.prompt_tokens,
        completion_tokens=usage.completion_tokens - base.completion_tokens,
        cost_picousd=usage.cost_picousd - base.cost_picousd,
    )
