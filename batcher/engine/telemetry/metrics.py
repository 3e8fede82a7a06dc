"""What a worker counts, kept by kind and model, and shown as families of metrics.

``docs/observability.md`` says what each of them means. A figure of a job that is being served
stands beside its id; what only grows stands beside the kind and the model, of which there are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

from batcher.core.model import JobState
from batcher.engine.telemetry.run_stats import RunStats
from batcher.ports import DeliveryReads, Family, Fate, FleetReads, JobLookup, Meter, Sample
from batcher.ports.meter import Histogram

_PICODOLLARS = 1e-12
_Labels = Mapping[str, str]


class Queue(FleetReads, JobLookup, DeliveryReads, Protocol):
    """What whoever measures what waits needs of a store."""


@dataclass(frozen=True, slots=True)
class Served:
    """A job that is being served, as its metrics are labelled, with its live figures."""

    job: str
    kind: str
    model: str
    live: RunStats


@dataclass(slots=True)
class Meters:
    """All that a process counts. ``idle_since`` is when (Unix time) jobs began to wait, by id.

    ``deliveries_failing`` is how many deliveries of all wait after an attempt that failed.
    """

    store_errors: int = 0
    deliveries_failing: int = 0
    idle_since: dict[str, float] = field(default_factory=dict)
    _meters: dict[tuple[str, str], Meter] = field(default_factory=dict)

    def of(self, kind: str, model: str) -> Meter:
        """The meter of all jobs of a kind and a model."""
        return self._meters.setdefault((kind, model), Meter())

    async def look_at_the_queue(self, store: Queue, served: Iterable[str], wall: float) -> None:
        """See which jobs wait that no living worker works on, and since when; and what fails.

        Since it was made, for one that never began; for others, since they were first seen so.

        Raises:
            StoreError: the database cannot be asked.
        """
        idle = set(await store.waiting_jobs()).difference(served)
        if idle:
            for worker in await store.workers():
                if worker.alive:
                    idle.difference_update(worker.holds)
        since = {}
        for job_id in idle:
            since[job_id] = self.idle_since.get(job_id, wall)
            if job_id not in self.idle_since:
                job = await store.job(job_id)
                if job.started_at is None and job.state is JobState.OPEN:
                    since[job_id] = min(wall, job.created_at.timestamp())
        self.idle_since = since
        self.deliveries_failing = await store.failing_deliveries()

    def queue_age(self, wall: float) -> float:
        """Seconds for which the job has waited that waits the longest; 0 where none waits."""
        return max(0.0, wall - min(self.idle_since.values(), default=wall))

    # --- showing ------------------------------------------------------------------------------

    def families(
        self, served: Iterable[Served], *, wall: float, now: float, stopping: bool
    ) -> Iterator[Family]:
        """All metrics as they are now; ``now`` is on the engine's clock, ``wall`` Unix time."""
        jobs = list(served)
        yield _one("batcher_stopping", "Whether the worker is ending.", float(stopping))
        yield _one("batcher_jobs_serving", "Jobs being served here.", len(jobs))
        yield _one(
            "batcher_queue_jobs", "Jobs that wait and that nobody works on.", len(self.idle_since)
        )
        yield _one(
            "batcher_queue_age_seconds",
            "How long the oldest job that nobody works on has waited.",
            self.queue_age(wall),
        )
        yield _one(
            "batcher_deliveries_failing",
            "Deliveries that wait after an attempt that failed.",
            self.deliveries_failing,
        )
        yield Family(
            "batcher_store_errors_total", "counter", "Times that the database failed.",
            [Sample({}, self.store_errors)],
        )  # fmt: skip
        yield from self._gauges(jobs, now)
        yield from self._counters()

    def _gauges(self, jobs: list[Served], now: float) -> Iterator[Family]:
        def gauge(name: str, help: str, read: Callable[[RunStats], float | None]) -> Family:
            values = [(job, read(job.live)) for job in jobs]
            samples = [
                Sample({"job": job.job, "kind": job.kind, "model": job.model}, value)
                for job, value in values
                if value is not None
            ]
            return Family(f"batcher_{name}", "gauge", help, samples)

        yield gauge("requests_in_flight", "Requests in flight.", lambda live: live.in_flight)
        yield gauge("window", "Requests that may be in flight.", lambda live: live.window)
        yield gauge(
            "limit_requests_per_minute",
            "The limit of requests in force.",
            lambda live: live.limits.requests_per_minute,
        )
        yield gauge(
            "limit_tokens_per_minute",
            "The limit of tokens in force.",
            lambda live: live.limits.tokens_per_minute,
        )
        yield gauge(
            "limit_requests_used_ratio",
            "The share of the limit of requests in use.",
            lambda live: live.limits.requests_share,
        )
        yield gauge(
            "limit_tokens_used_ratio",
            "The share of the limit of tokens in use.",
            lambda live: live.limits.tokens_share,
        )
        yield gauge(
            "pause_left_seconds",
            "How much longer a 429 stops everyone.",
            lambda live: max(0.0, (live.limits.paused_until or now) - now),
        )
        yield gauge("outage", "Whether the provider is in an outage.", lambda live: live.outage)
        yield gauge("rows", "Rows of the job.", lambda live: live.rows)
        yield gauge("rows_settled_before", "Of them done or failed before.", _settled_before)

    def _counters(self) -> Iterator[Family]:
        def counter(
            name: str, help: str, read: Callable[[Meter], Iterable[tuple[_Labels, float]]]
        ) -> Family:
            samples = [
                Sample({**labels, **more}, value)
                for labels, meter in self._labelled()
                for more, value in read(meter)
            ]
            return Family(f"batcher_{name}_total", "counter", help, samples)

        yield counter("rows", "Rows done or failed, by result.", _rows)
        yield counter(
            "requests",
            "Requests that ended, by how.",
            _fates,
        )
        yield counter("tokens", "Tokens used, by type.", _tokens)
        yield counter(
            "cost_dollars",
            "Money spent, where a price is known.",
            lambda meter: [({}, meter.cost_picousd * _PICODOLLARS)],
        )
        for name, help, read in _PLAIN:
            yield counter(name, help, lambda meter, read=read: [({}, read(meter))])  # type: ignore[misc]
        yield counter(
            "jobs_left",
            "Jobs that this worker left, by why.",
            lambda meter: [({"status": status}, n) for status, n in meter.jobs_left.items()],
        )
        yield counter("deliveries", "Deliveries tried here, by how that ended.", _deliveries)
        yield self._histogram(
            "request_seconds", "How long answers took.", lambda meter: meter.request_seconds
        )
        yield self._histogram(
            "checkpoint_seconds", "How long commits took.", lambda meter: meter.checkpoint_seconds
        )

    def _histogram(self, name: str, help: str, read: Callable[[Meter], Histogram]) -> Family:
        samples = [
            sample for labels, meter in self._labelled() for sample in _buckets(read(meter), labels)
        ]
        return Family(f"batcher_{name}", "histogram", help, samples)

    def _labelled(self) -> Iterator[tuple[_Labels, Meter]]:
        for (kind, model), meter in self._meters.items():
            yield {"kind": kind, "model": model}, meter


_PLAIN: tuple[tuple[str, str, Callable[[Meter], float]], ...] = (
    ("retries", "Failures that may pass.", lambda meter: meter.retries),
    ("throttle_waits", "Send times that lay ahead.", lambda meter: meter.throttle_waits),
    ("throttle_wait_seconds", "How far they lay ahead.", lambda meter: meter.throttle_wait_seconds),
    ("pauses", "Pauses begun by a 429.", lambda meter: meter.pauses),
    ("pause_seconds", "How long these were.", lambda meter: meter.pause_seconds),
    ("leases_lost", "Shards that others took over.", lambda meter: meter.leases_lost),
    ("jobs_served", "Jobs that this worker began to serve.", lambda meter: meter.jobs_served),
)


def _one(name: str, help: str, value: float) -> Family:
    return Family(name, "gauge", help, [Sample({}, value)])


def _settled_before(live: RunStats) -> float:
    return live.base.rows_done + live.base.rows_failed


def _rows(meter: Meter) -> list[tuple[_Labels, float]]:
    return [({"result": "done"}, meter.rows_done), ({"result": "dead"}, meter.rows_dead)]


def _fates(meter: Meter) -> list[tuple[_Labels, float]]:
    ended = {**meter.requests_failed, Fate.OK: meter.requests_ok}
    return [({"outcome": str(fate)}, ended.get(fate, 0)) for fate in Fate]


def _deliveries(meter: Meter) -> list[tuple[_Labels, float]]:
    return [
        ({"outcome": "delivered"}, meter.delivered),
        ({"outcome": "failed"}, meter.deliveries_failed),
    ]


def _tokens(meter: Meter) -> list[tuple[_Labels, float]]:
    return [
        ({"type": "prompt"}, meter.prompt_tokens),
        ({"type": "completion"}, meter.completion_tokens),
    ]


def _buckets(histogram: Histogram, labels: _Labels) -> Iterator[Sample]:
    upto = list(accumulate(histogram.counts))
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), upto, strict=True):
        yield Sample({**labels, "le": bound}, count, "_bucket")
    yield Sample(labels, histogram.sum, "_sum")
    yield Sample(labels, upto[-1], "_count")
