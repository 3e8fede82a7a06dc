"""What a worker does beside the jobs that it serves: fire schedules, open jobs, plan, deliver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from batcher.core.errors import NotAllowed, StoreError
from batcher.engine.delivery.deliverer import Deliverer
from batcher.engine.fleet.order_opener import OrderOpener
from batcher.engine.left_alone import LeftAlone
from batcher.engine.opening.firing import fire_due
from batcher.engine.services import Services
from batcher.ports import Event, Log

MOST_AT_ONCE = 4
"""How many inputs a worker checks and plans at the same time; others have time for the rest."""
MOST_DELIVERIES = 2
"""How many jobs a worker delivers at the same time, besides these."""
REFUSED_SECONDS = 60.0
"""How long one is left alone that has failed here for no reason of its own."""


class BackgroundWork:
    """One worker's errands, each a task."""

    def __init__(self, services: Services, worker: str, log: Log, deliverer: Deliverer) -> None:
        """``worker`` is its name."""
        self._services = services
        self._deliverer = deliverer
        self._order_opener = OrderOpener(services, worker, log)
        self._log = log
        self._running: dict[str, asyncio.Task[None]] = {}
        self._delivering: dict[str, asyncio.Task[None]] = {}
        self._left_alone = LeftAlone(services.clock)
        self._stopped = False

    async def look(self, tasks: asyncio.TaskGroup | None) -> None:
        """Fire what is due, and begin what waits; without ``tasks`` nothing can be begun.

        Raises:
            StoreError: the database cannot be asked.
        """
        await fire_due(self._services, self._log)
        store = self._services.store
        if tasks is None:
            return
        if len(self._delivering) < MOST_DELIVERIES:
            for job_id in await store.due_deliveries():
                self.deliver(tasks, job_id)
        if len(self._running) >= MOST_AT_ONCE:
            return
        for order in await store.waiting_orders(limit=2 * MOST_AT_ONCE):
            self._begin(tasks, order.id, partial(self._order_opener.open, order))
        for job_id in await store.unplanned_jobs():
            self._begin(tasks, job_id, partial(self._order_opener.resume_plan, job_id))

    def deliver(self, tasks: asyncio.TaskGroup, job_id: str) -> None:
        """Deliver a job that is complete, unless enough is being delivered here."""
        if len(self._delivering) < MOST_DELIVERIES and not self._deliverer.refuses(job_id):
            work = partial(self._deliverer.deliver, job_id)
            self._begin(tasks, f"delivery of {job_id}", work, self._delivering)

    def stop(self) -> None:
        """End in good order: what is given back, others take up at once."""
        self._stopped = True
        for task in (*self._running.values(), *self._delivering.values()):
            task.cancel()

    def _begin(
        self,
        tasks: asyncio.TaskGroup,
        name: str,
        work: Callable[[], Awaitable[None]],
        running: dict[str, asyncio.Task[None]] | None = None,
    ) -> None:
        if running is None:
            running = self._running
            if len(running) >= MOST_AT_ONCE:
                return
        if self._stopped or name in running or name in self._left_alone:
            return
        task = running[name] = tasks.create_task(self._do(name, work), name=f"errand {name}")
        task.add_done_callback(lambda _: running.pop(name))

    async def _do(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it; what goes wrong with it is no reason to leave the others."""
        try:
            await work()
        except StoreError as error:
            self._log(Event.STORE_LOST, error=type(error).__name__)
        except NotAllowed as refusal:
            self._left_alone.add(name, REFUSED_SECONDS)
            self._log(Event.ORDER_REFUSED, errand=name, reason=str(refusal))
        except Exception as error:  # noqa: BLE001 - a fault in one job, or in somebody's own kind
            self._left_alone.add(name, REFUSED_SECONDS)
            self._log(Event.ERRAND_FAILED, errand=name, error=type(error).__name__)
