"""What one process does so that complete jobs are delivered: each under a lease, by one at a time.

A delivery that fails says why in the store, and is tried again after a pause that grows. One whose
process ends is taken up when its lease has run out. Either begins anew, or where the one before has
got to if the destination can go on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from batcher.core.errors import BatcherError, NotAllowed, UsageError
from batcher.core.failures.unforeseen import described
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.urls import scheme_of, shown_url
from batcher.core.model import Job
from batcher.core.options import is_unicode
from batcher.engine.delivery.files import Delivery, Progress
from batcher.engine.delivery.overwriting import Output
from batcher.engine.job.listing import Reports
from batcher.engine.kept_lease import kept_lease
from batcher.engine.left_alone import LeftAlone
from batcher.engine.services import Services
from batcher.ports import DeliveryLease, Event, Log

_REFUSED_SECONDS = 60.0
"""How long a delivery is left to others that this process may not make."""


class Deliverer:
    """One process's part in delivering."""

    def __init__(
        self,
        services: Services,
        name: str,
        log: Log,
        told: Callable[[Job, bool], None] = lambda job, delivered: None,
    ) -> None:
        """``name`` is the process's; ``told`` hears how an attempt at a job ended."""
        self._services = services
        self._delivery = Delivery(services.store, services.files)
        self._reports = Reports(services)
        self._name = name
        self._log = log
        self._told = told
        self._leases = count(1)
        self._left_alone = LeftAlone(services.clock)

    def refuses(self, job_id: str) -> bool:
        """Whether this process may not deliver the job, and has found that out of late."""
        return job_id in self._left_alone

    async def deliver(self, job_id: str) -> None:
        """Deliver a job's results; nothing happens where that is not due, or somebody else does.

        What fails is told to the store, and raises nothing; so is what this process may not do.

        Raises:
            StoreError: the store cannot be told.
        """
        services, owner = self._services, f"{self._name}/delivering-{next(self._leases)}"
        store, seconds = services.store, services.lease_seconds
        try:
            lease = await store.claim_delivery(job_id, owner, seconds)
        except asyncio.CancelledError:
            # It may have been claimed all the same.
            await store.claim_delivery(job_id, owner, 0.0, unblamed=True)
            raise
        if lease is None:
            return
        job = await store.job(job_id)
        try:
            async with kept_lease(
                services, lambda: store.claim_delivery(job_id, owner, seconds), self._log
            ):
                files = await self._deliver(job, lease)
        except asyncio.CancelledError:  # others need not wait
            await store.claim_delivery(job_id, owner, 0.0, unblamed=True)
            raise
        except NotAllowed as refusal:
            self._left_alone.add(job_id, _REFUSED_SECONDS)
            await store.settle_delivery(
                job_id, lease.fence, cause=str(refusal), exit_code=2, elsewhere=True
            )
            self._log(Event.JOB_REFUSED, job=job_id, reason=str(refusal))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and tried again
            cause, exit_code = _words(error), getattr(error, "exit_code", 1)
            if await store.settle_delivery(job_id, lease.fence, cause=cause, exit_code=exit_code):
                self._told(job, False)
                self._log(
                    Event.DELIVERY_FAILED,
                    job=job_id,
                    attempt=lease.attempts,
                    error=type(error).__name__,
                )
        else:
            if await store.settle_delivery(job_id, lease.fence, files=files):
                self._told(job, True)
                self._log(Event.JOB_DELIVERED, job=job_id, attempt=lease.attempts)

    async def _deliver(self, job: Job, lease: DeliveryLease) -> list[str]:
        """Write what is to be written; returns what was."""
        target = await asyncio.to_thread(output_of, DeliverySpec.from_json(lease.target))
        if target.stream:
            raise UsageError(f"{target.path} is not a file: name a file for workers to write")
        await asyncio.to_thread(self._delivery.check, target, job.description, ())
        report = await self._reports.of(job)
        progress = Progress(
            cursor=lease.cursor, records=lease.records, keep=partial(self._keep, lease)
        )
        report = await self._delivery.deliver_once(job, report, target, progress)
        await remember(self._services, job, target)
        written = (target.path, report.errors, target.manifest)
        return [place_of(str(name)) for name in written if name is not None]

    async def _keep(self, lease: DeliveryLease, cursor: int, records: int) -> None:
        """Have the next attempt begin there.

        Raises:
            DeliveryLost: somebody else delivers by now, or the job was opened again.
        """
        store = self._services.store
        if not await store.advance_delivery(
            lease.job_id, lease.fence, cursor=cursor, records=records
        ):
            raise DeliveryLost(f"the delivery of job {lease.job_id} is somebody else's by now")


class DeliveryLost(BatcherError):
    """A lease of a delivery has run out, or its job was opened again."""


def output_of(delivery: DeliverySpec) -> Output:
    """Where a delivery goes, which is looked at."""
    return Output.named(
        delivery.output,
        delivery.format,
        overwrite=delivery.overwrite,
        csv_safe=delivery.csv_safe,
        failed_rows=delivery.failed_rows,
    )


async def remember(services: Services, job: Job, target: Output) -> None:
    """Keep where a job's records go, to say so later; a stream is no place.

    Nor is a name that is not UTF-8 kept: no database takes it, and it would be told wrongly.
    """
    place = place_of(target.path)
    told = not target.stream and target.path != "-" and is_unicode(place)
    if told and job.output != place:
        await services.store.set_output(job.id, place)


def place_of(path: str) -> str:
    """An output as it is told: an absolute path, or a URL without its query."""
    return shown_url(path) if scheme_of(path) else str(Path.cwd() / path)


def _words(error: Exception) -> str:
    """Why a delivery failed; what was not foreseen might quote a row."""
    if isinstance(error, BatcherError):
        return str(error)
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error.strerror or 'no further words'}"
    return f"{described(error)}: that is a bug in batcher or in the destination's package"
