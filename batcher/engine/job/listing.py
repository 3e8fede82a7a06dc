"""Reports of jobs: of one, and of many by as few questions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batcher.core.job.description import Description
from batcher.engine.job.delivery_report import DeliveryReport
from batcher.engine.job.report import Report, RunFigures, exit_code, make_report, notes

if TYPE_CHECKING:
    from batcher.core.job.filter import JobFilter
    from batcher.core.model import Job, Tally
    from batcher.engine.job.endings import Ending
    from batcher.engine.services import Services


class Reports:
    """What jobs look like."""

    def __init__(self, services: Services) -> None:
        """``services`` know what they did, and what their models cost."""
        self._services = services

    async def of(
        self,
        job: Job,
        ending: Ending | None = None,
        *,
        sent: bool = True,
        before: Tally | None = None,
    ) -> Report:
        """The report of a job as it is; of a run that ended, with how it did.

        ``before`` is what the job was when the run began.
        """
        described = job.description
        tally = await self._services.store.tally(job.id)
        delivery = await self._services.store.delivery(job.id)
        price = _has_cost(tally) or await asyncio.to_thread(self.is_priced, described)
        more: dict[str, Any] = {
            "notes": notes(described),
            "access": self._services.access,
            "delivery": None if delivery is None else DeliveryReport.of(delivery),
        }
        if tally.rows_failed:
            more["failures"] = tuple(await self._services.store.failures(job.id))
        if before is not None:
            more["this_run"] = RunFigures.between(before, tally, priced=price)
        if ending is not None:
            more |= {
                "status": ending.status,
                "cause": ending.cause,
                "reason": ending.reason,
                "resume_at": ending.resume_at,
                "exit_code": exit_code(ending, tally, delivery),
                "sent_nothing": not sent,
            }
        return make_report(
            job, described, tally, priced=price, version=self._services.version, **more
        )

    async def newest(self, limit: int, wanted: JobFilter, after: str | None = None) -> list[Report]:
        """The reports of the newest of them; a price is looked up once, where it matters."""
        store = self._services.store
        jobs = await store.jobs(limit=limit, wanted=wanted, after=after)
        tallies = await store.tallies([job.id for job in jobs])
        there = [(job, job.description) for job in jobs if job.id in tallies]
        deliveries = await store.deliveries([job.id for job in jobs])
        asked = {
            _priced_alike(described): described
            for job, described in there
            if not _has_cost(tallies[job.id])
        }

        def look_up() -> dict[tuple[str | None, ...], bool]:
            return {alike: self.is_priced(described) for alike, described in asked.items()}

        priced = await asyncio.to_thread(look_up) if asked else {}
        failed = [job_id for job_id, tally in tallies.items() if tally.rows_failed]
        failures = await store.failures_of(failed) if failed else {}
        return [
            make_report(
                job,
                described,
                tallies[job.id],
                priced=priced.get(_priced_alike(described), True),
                version=self._services.version,
                notes=notes(described),
                failures=tuple(failures.get(job.id, ())),
                access=self._services.access,
                delivery=None if (to := deliveries.get(job.id)) is None else DeliveryReport.of(to),
            )
            for job, described in there
        ]

    def is_priced(self, described: Description) -> bool:
        """Whether what the job costs is known; takes a while the first time."""
        model, provider = described.work.model, described.provider
        if provider.price is not None:
            return True
        facts = self._services.model_facts(model, described.endpoint, provider.base_url)
        return facts.price is not None


def _has_cost(tally: Tally) -> bool:
    """Whether anything of it was priced: then its price is known, and takes no looking up."""
    return tally.usage.cost_picousd > 0


def _priced_alike(described: Description) -> tuple[str | None, ...]:
    """What decides whether a job's price is known."""
    provider = described.provider
    return described.work.model, str(described.endpoint), provider.base_url, provider.price
