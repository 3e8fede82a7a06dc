"""What a worker does so that there is a job: it checks the input of an order, opens the job, plans.

Each step can be taken up by another worker: the order is under a lease until its job is open, the
plan under one of its own until it is whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import date
from itertools import count

from batcher.core.errors import (
    BatcherError,
    IllegalTransition,
    InputError,
    NotAllowed,
    StoreError,
    UsageError,
)
from batcher.core.failures.unforeseen import described
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.spec import JobSpec
from batcher.core.model import Job, JobEvent, JobState
from batcher.engine.job.endings import Endings, apply_ending, may_pass
from batcher.engine.kept_lease import kept_lease
from batcher.engine.opening.binding import Bound
from batcher.engine.opening.destination import day_of, set_destination
from batcher.engine.opening.intake import Intake, unheard
from batcher.engine.opening.submission import write_plan
from batcher.engine.services import Services
from batcher.ports import Event, InputSource, Log, Order, OrderState

MOST_TRIES = 10
"""How often workers may try in vain to open an order before it counts as the reason."""


class OrderOpener:
    """One worker's part in opening jobs."""

    def __init__(self, services: Services, worker: str, log: Log) -> None:
        """``worker`` is its name; every lease has an owner of its own."""
        self._services = services
        self._intake = Intake(services)
        self._worker = worker
        self._log = log
        self._leases = count(1)

    async def open(self, order: Order) -> None:
        """Open the job that is ordered, and plan it; or say in the order why that cannot be.

        Nothing happens where somebody else does so.
        """
        store, owner = self._services.store, self._owner()
        seconds = self._services.lease_seconds
        try:
            fence = await store.claim_order(order.id, owner, seconds)
        except asyncio.CancelledError:
            # It may have been claimed all the same.
            await store.claim_order(order.id, owner, 0.0, unblamed=True)
            raise
        if fence is None:
            return
        try:
            async with self._kept(lambda: store.claim_order(order.id, owner, seconds)):
                if fence - order.forgiven > MOST_TRIES:
                    raise UsageError(
                        f"given up after {MOST_TRIES} tries: the workers ended while they checked "
                        "its input, or lack its kind; their logs say which"
                    )
                await self._open(order, fence, owner)
        except BaseException as error:
            if may_pass(error) or await self._is_done(order):
                unblamed = _is_unblamed(error)  # others need not wait
                await store.claim_order(order.id, owner, 0.0, unblamed=unblamed)
                if isinstance(error, NotAllowed):  # for whoever waits to read
                    waits = OrderState.WAITING
                    await store.settle_order(order.id, fence, waits, error=str(error))
                raise
            self._log(Event.ORDER_FAILED, order=order.id, error=type(error).__name__)
            await store.settle_order(order.id, fence, OrderState.FAILED, error=_words(error))

    async def _is_done(self, order: Order) -> bool:
        """Whether its job is open: what fails after that is the job's to tell."""
        return (await self._services.store.order(order.id)).state is not OrderState.WAITING

    async def _open(self, order: Order, fence: int, owner: str) -> None:
        spec = JobSpec.from_json(order.blueprint.spec)
        bound = await self._intake.bind_texts(spec, order.blueprint.files)
        where = _destination(order)
        if order.job_id is not None:  # a worker opened it, and ended before it could say so
            job = await self._services.store.job(order.job_id)
            await self._begin(order, fence, job, bound)
            return
        with await self._intake.open(spec) as source:
            facts = await self._intake.check(bound, source)
            if not order.fresh:
                bound = await self._intake.as_begun(bound, facts, unheard)
            delivery = None if where is None else where[0]
            new = await self._intake.new_job(bound, facts, delivery)
            opened = await self._services.store.open_ordered(order.id, fence, new)
            if opened is not None:
                # Before the order is done: nobody else is to begin with what goes on here.
                await self._services.store.lease_plan(
                    opened.id, owner, self._services.lease_seconds
                )
                bound.check_taken_up(opened)
                job = await self._begin(order, fence, opened, bound)
                await self._plan(job, bound, source, owner)

    async def _begin(self, order: Order, fence: int, job: Job, bound: Bound) -> Job:
        """Let workers go on with the job, which may have been there before; the order is done."""
        store = self._services.store
        if (where := _destination(order)) is not None:
            await set_destination(self._services, job, *where)
        if job.state is not JobState.COMPLETE:
            await store.set_budget(job.id, bound.budget_picousd)
            try:
                job = await store.move(job.id, JobEvent.RESUME)
            except IllegalTransition:  # it was cancelled in the meantime
                job = await store.job(job.id)
        await store.settle_order(order.id, fence, OrderState.DONE)
        self._log(Event.ORDER_FILLED, order=order.id, job=job.id, schedule=order.schedule)
        await self._services.doorbell.ring(job.id)
        return job

    async def resume_plan(self, job_id: str) -> None:
        """Plan on where a worker has ended that was planning."""
        store, owner = self._services.store, self._owner()
        seconds = self._services.lease_seconds
        if await store.lease_plan(job_id, owner, seconds) is None:
            return
        try:
            async with self._kept(lambda: store.lease_plan(job_id, owner, seconds)):
                await self._resume_plan(await store.job(job_id), owner)
        except BaseException as error:
            await store.lease_plan(job_id, owner, 0.0, unblamed=_is_unblamed(error))
            raise

    async def _resume_plan(self, job: Job, owner: str) -> None:
        store = self._services.store
        if job.plan_tries > MOST_TRIES:
            with suppress(IllegalTransition):  # it is over
                await apply_ending(store, job.id, Endings.plan_given_up(MOST_TRIES))
            return
        try:
            bound = await self._intake.rebind(job)
            source = await self._intake.open(bound.spec)
            with source:
                await self._intake.check(bound, source)
                await self._plan(job, bound, source, owner)
        except Exception as error:
            if not may_pass(error) and (await store.job(job.id)).state is JobState.OPEN:
                ending = Endings.of_planning(error)
                if isinstance(error, InputError):  # it could be read before, and may be again
                    ending = Endings.unreadable(str(error))
                with suppress(IllegalTransition):  # it is over
                    await apply_ending(store, job.id, ending)
            raise

    async def _plan(self, job: Job, bound: Bound, source: InputSource, owner: str) -> None:
        """Write the plan as far as nobody else does."""
        try:
            await write_plan(self._services, job, bound, source, owner=owner)
        except BaseException as error:
            unblamed = _is_unblamed(error)  # others need not wait
            await self._services.store.lease_plan(job.id, owner, 0.0, unblamed=unblamed)
            raise
        await self._services.doorbell.ring(job.id)

    def _kept(self, renew: Callable[[], Awaitable[object]]) -> AbstractAsyncContextManager[None]:
        return kept_lease(self._services, renew, self._log)

    def _owner(self) -> str:
        return f"{self._worker}/opening-{next(self._leases)}"


def _destination(order: Order) -> tuple[DeliverySpec, date] | None:
    """Where an order's results go, and of which day they are; None where they stay.

    Raises:
        UsageError: its time zone is not known here.
    """
    if order.blueprint.delivery is None:
        return None
    delivery = DeliverySpec.from_json(order.blueprint.delivery)
    return delivery, day_of(delivery, order.due_at or order.asked_at)


def _is_unblamed(error: BaseException) -> bool:
    """Whether an order or a plan was left by no fault of its own.

    Its worker ended or may not open it, or the database was away.
    An input that cannot be read, or no memory for it, may be its own fault all the same.
    """
    return isinstance(error, StoreError | NotAllowed) or not isinstance(error, Exception)


def _words(error: BaseException) -> str:
    """Why an order failed; what was not foreseen might quote a row."""
    if isinstance(error, BatcherError):
        return str(error)
    return f"its job cannot be opened: {described(error)}: that is a bug in batcher"
