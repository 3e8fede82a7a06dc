"""Asking workers to open a job, and hearing what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from batcher.core.errors import BatcherError, UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.spec import JobSpec
from batcher.core.model import Job
from batcher.engine.opening.destination import check_destination
from batcher.engine.opening.firing import order_id
from batcher.engine.opening.intake import Intake
from batcher.engine.services import Services
from batcher.ports import Blueprint, Order, OrderState

_LOOK_SECONDS = 0.5


class OrderFailed(BatcherError):
    """A worker could not open the job: the message is what it found."""

    exit_code = 2


async def blueprint_of(
    services: Services, spec: JobSpec, delivery: DeliverySpec | None = None
) -> Blueprint:
    """What a worker needs to open the job; the files that options name are read here.

    Raises:
        UsageError: the spec is wrong, its input is here alone, or its results cannot go there.
        NotAllowed: who asks may not have this done.
    """
    if spec.input == "-":
        raise UsageError("workers cannot read this standard input: name a file or a URL")
    bound = await Intake(services).bind(spec)
    services.check_asked(bound.spec, None if delivery is None else delivery.output, reads=True)
    if delivery is None:
        return Blueprint(spec=bound.spec.to_json(), files=bound.files)
    await asyncio.to_thread(check_destination, services, bound, delivery)
    return Blueprint(spec=bound.spec.to_json(), files=bound.files, delivery=delivery.to_json())


async def place_and_wait(
    services: Services,
    spec: JobSpec,
    delivery: DeliverySpec | None,
    *,
    fresh: bool,
    on_waiting: Callable[[int], None],
    on_refused: Callable[[str], None],
) -> Job:
    """Have a worker open the job. Whoever stops waiting for it has asked all the same.

    ``on_waiting`` is told, whenever it was looked for in vain, how many workers are alive;
    ``on_refused`` why a worker has left it to others.

    Raises:
        UsageError: the spec is wrong.
        OrderFailed: the input is, as a worker sees it.
    """
    store = services.store
    blueprint = await blueprint_of(services, spec, delivery)
    order = await store.place_order(order_id(), blueprint, fresh=fresh)
    while True:
        order = await store.order(order.id)
        if order.state is not OrderState.WAITING:
            return await _opened(services, order)
        if order.error is not None:
            on_refused(order.error)
        on_waiting(sum(worker.alive for worker in await store.workers()))
        await services.clock.sleep(_LOOK_SECONDS)


async def _opened(services: Services, order: Order) -> Job:
    if order.state is not OrderState.DONE or order.job_id is None:
        raise OrderFailed(order.error or "no job was opened")
    return await services.store.job(order.job_id)
