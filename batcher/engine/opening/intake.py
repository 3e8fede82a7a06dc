"""From a spec to a job in the store: bind its kind, check its input, find the job or make it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

from batcher.core.errors import KindNotHere, NotAllowed, UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.since import Since
from batcher.core.job.spec import JobSpec
from batcher.core.job.urls import check_base_url
from batcher.core.kind import Kind, TextFile, earlier_versions, of_version
from batcher.core.kind_optional import AttachesFiles, RefusesToBegin
from batcher.core.model import InputFacts, Job, JobState, Learned
from batcher.engine.job.report import rows_total
from batcher.engine.job.unsent import replace_unsent
from batcher.engine.opening.binding import Bound, bind, new_job
from batcher.engine.opening.option_texts import check_texts, read_files
from batcher.engine.planning.handover import MANY_ROWS, AnyPlanner, HandoverPlanner
from batcher.engine.planning.plan_writer import Planning
from batcher.engine.planning.planner import Planner
from batcher.engine.reuse.previous_job import Former
from batcher.engine.reuse.strategies import in_order
from batcher.engine.services import Services
from batcher.ports import InputSource, Reuse, ReuseStrategy
from batcher.ports.planning import PlanTask, SharesCheck

Told: TypeAlias = Callable[[str], None]
"""Hears what is said of a job before it is sent, a sentence at a time."""


def unheard(sentence: str) -> None:
    """Nobody listens (:data:`Told`)."""


class KindChanged(KindNotHere):
    """A job was planned by another version of its kind than the one installed here."""


class Intake:
    """The steps before anything is sent."""

    def __init__(self, services: Services) -> None:
        """``services`` do the reading."""
        self._services = services

    async def bind(self, spec: JobSpec) -> Bound:
        """Read the files that a spec names, and check all that needs no input.

        What is bound says all that the provider says of itself which the spec names.

        Raises:
            UsageError: something of the spec is wrong.
        """
        services = self._services
        spec = await asyncio.to_thread(services.choose_provider, spec)
        if spec.since_last and spec.name is None:
            raise UsageError(
                "--since-last compares with the last complete run of a name: give this one a name "
                "with --name NAME, the same each time"
            )

        def look_up() -> Bound:
            if not spec.simulate:
                check_base_url(spec.base_url)
            check_texts(spec, services.kinds)
            files = read_files(spec, services.kinds, services.files.read_text)
            bound = self._bound(spec, files, services.kinds.get(spec.kind))
            if isinstance(bound.kind, RefusesToBegin):
                bound.kind.check_beginning()
            return bound

        return await asyncio.to_thread(look_up)

    async def bind_texts(self, spec: JobSpec, files: Mapping[str, TextFile]) -> Bound:
        """The same where the files have been read already.

        Raises:
            UsageError: something of the spec is wrong.
        """
        if not spec.simulate:
            check_base_url(spec.base_url)
        kind = self._services.kinds.get(spec.kind)
        return await asyncio.to_thread(self._bound, spec, files, kind)

    async def rebind(self, job: Job) -> Bound:
        """What the job was made of, without its files, as the version that planned it means it.

        Raises:
            KindChanged: that version of the kind is not here.
            KindNotHere: the kind is not installed.
        """
        described = job.description
        current = self._services.kinds.get(described.work.kind)
        kind = of_version(current, described.kind_version)
        if kind is None:
            raise KindChanged(
                f"job {job.id} was planned by version {described.kind_version} of the kind "
                f"{described.work.kind}, and this installation has version {current.version}"
            )
        return await asyncio.to_thread(self._bound, described.spec, described.files, kind)

    async def as_begun(self, bound: Bound, facts: InputFacts, told: Told) -> Bound:
        """The same, by the version of its kind with which the job was begun, if it was before.

        An earlier version counts where it understands the options as today's does. ``told`` hears
        that it goes on.
        """
        store, spec = self._services.store, bound.spec
        kind = self._services.kinds.get(spec.kind)
        versions = earlier_versions(kind)
        if not versions or await store.newest(bound.fingerprint(facts), spec.name) is not None:
            return bound
        for version in versions:
            former = await asyncio.to_thread(self._bound, spec, bound.files, version)
            if former.kind.identity != bound.kind.identity:
                continue
            job = await store.newest(former.fingerprint(facts), spec.name)
            if job is not None:
                told(
                    f"job {job.id} continues with version {version.version} of {spec.kind}, with "
                    f"which it began; --fresh starts again with version {bound.kind_version}"
                )
                return former
        return bound

    def _bound(self, spec: JobSpec, files: Mapping[str, TextFile], kind: Kind) -> Bound:
        services = self._services
        bound = bind(
            spec,
            kind=kind,
            facts_of=lambda endpoint: services.model_facts(spec.model, endpoint, spec.base_url),
            tokenizer=services.open_tokenizer(spec.model, spec.tokenizer),
            files=files,
        )
        if isinstance(bound.kind, AttachesFiles):
            return replace(bound, attachments=services.open_attachments(spec))
        return bound

    async def open(self, spec: JobSpec) -> InputSource:
        """The input; a stream is copied to disk first, however long it takes to come.

        Raises:
            UsageError: its format is not known, or it is a URL that nothing here reads.
            InputError: it cannot be read.
        """
        return await self._services.open_source(spec)

    async def check(self, bound: Bound, source: InputSource, told: Told = unheard) -> InputFacts:
        """One pass over the whole input; ``told`` hears what was guessed of it.

        Raises:
            InputError: it is not as it must be.
        """
        facts = await asyncio.to_thread(bound.check, source)
        for note in (*source.notes, *bound.notes_on(facts.columns)):
            told(f"note: {note}")
        return facts

    async def new_job(
        self, bound: Bound, facts: InputFacts, delivery: DeliverySpec | None = None
    ) -> Job:
        """The job as it would be if it were new; ``delivery`` is where its results are to go."""
        since, learned = await self._compared(bound)
        job = new_job(
            bound,
            facts,
            now=datetime.fromtimestamp(self._services.clock.wall(), UTC),
            noise=int.from_bytes(os.urandom(2), "big"),
            version=self._services.version,
        )
        description = replace(job.description, since=since, delivery=delivery)
        return replace(job, description=description, learned=learned)

    async def _compared(self, bound: Bound) -> tuple[Since | None, Learned]:
        """What an incremental job is compared with, and what that one has learned.

        Vectors that are carried over have a length, which those of the answers must have, too.
        """
        spec = bound.spec
        if not spec.since_last or spec.name is None:
            return None, Learned()
        last = await self._services.store.last_complete(spec.name)
        if last is None:
            return Since(), Learned()
        described = last.description
        differs = bound.description.differences(described)
        since = Since(job=last.id, rows=rows_total(last, described), differs=differs)
        return since, Learned() if differs else last.learned

    async def open_job(
        self,
        bound: Bound,
        facts: InputFacts,
        *,
        fresh: bool,
        delivery: DeliverySpec | None = None,
        check: Callable[[Job], Awaitable[object]] | None = None,
        told: Told = unheard,
    ) -> Job:
        """The job, found or made; none is left behind that could not even begin.

        A job that is complete needs no credential. ``delivery`` is kept with a job that is made.
        ``check`` may refuse to go on with it.

        Raises:
            UsageError: the credential that it names is not in the environment, the check's, or the
                job was begun without keeping what is asked of its records now.
            NotAllowed: it asks for more than there is in reach.
        """
        store = self._services.store
        new = await self.new_job(bound, facts, delivery)
        if fresh or await store.newest(new.fingerprint, new.name) is None:
            self._services.check_connection(bound.spec)  # before anything is made
        job, made = await store.open_job(new, fresh=fresh)
        try:
            bound.check_taken_up(job)
            if check is not None:
                await check(job)
            if job.state is not JobState.COMPLETE:
                self._services.check_connection(bound.spec)
        except (UsageError, NotAllowed):
            if made:
                await store.purge(job.id)
            raise
        if made:
            for former in await replace_unsent(self._services, job):
                told(f"job {former}, an earlier attempt that had no results, is removed")
        return job

    def planning(self, bound: Bound, job: Job, source: InputSource, told: Told) -> Planning | None:
        """What is left to plan of a job; None where nothing is.

        ``told`` hears, now and later, how much of an incremental job will be sent.
        """
        if job.planned:
            return None
        rows = rows_total(job, bound.description)
        since = job.description.since
        if since is not None:
            told(since.telling(job.name or "", rows))
        return Planning(
            make=lambda now, reuse: self._planner(bound, source, rows, now, reuse),
            source=source,
            rows=rows,
            sha256=job.facts.sha256 if rows == job.facts.rows else None,
            shape=bound.shape,
            reuse=self.reuse(bound, since, told),
        )

    def _planner(
        self, bound: Bound, source: InputSource, rows: int, job: Job, reuse: Reuse | None
    ) -> AnyPlanner:
        """What plans a job from its cursor on, in a process of its own where that is worth it."""

        def plan_here(next_row: int, next_shard: int) -> Planner:
            at = replace(job, plan_row=next_row, plan_shard=next_shard)
            return bound.planner(source, rows, at, reuse, self._services.open_guard())

        checked = lookup = None
        many = rows - job.plan_row >= MANY_ROWS and bound.attachments is None
        if many and isinstance(source, SharesCheck):
            lookup = None if reuse is None else reuse.portable()
            checked = source.checked() if reuse is None or lookup is not None else None
        if checked is None:
            return plan_here(job.plan_row, job.plan_shard)
        task = PlanTask(
            spec=bound.spec,
            kind_version=bound.kind_version,
            files=bound.files,
            limits=bound.limits,
            rows=rows,
            recipe=job.description.recipe,
            keep_arrow=job.facts.arrow_schema is not None,
            checked=checked,
            lookup=lookup,
        )
        return HandoverPlanner(
            plan_here,
            partial(self._services.start_planner, task),
            next_row=job.plan_row,
            next_shard=job.plan_shard,
        )

    def reuse(self, bound: Bound, since: Since | None, told: Told) -> ReuseStrategy | None:
        """What says which rows need no call: the former job first; None where all do."""
        former: list[ReuseStrategy] = []
        if since is not None and since.job is not None:
            former.append(
                Former(
                    store=self._services.store,
                    job_id=since.job,
                    shape=bound.shape,
                    open_index=self._services.open_index,
                    gone=lambda: told(since.telling_gone()),
                )
            )
        return in_order([*former, *self._services.strategies])
