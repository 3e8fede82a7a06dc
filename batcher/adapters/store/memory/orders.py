"""The verbs of :class:`batcher.ports.OrderStore` and ``ScheduleStore`` in dictionaries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batcher.adapters.store.lifecycle import fired, is_under_way, under_way, unknown_order, utc
from batcher.adapters.store.order_codec import blueprint_text, blueprint_value
from batcher.core.model import JobState
from batcher.ports import Blueprint, Firing, Order, OrderState, Schedule

if TYPE_CHECKING:
    from datetime import datetime

    from batcher.adapters.store.memory.jobs import Entry
    from batcher.core.model import Job
    from batcher.ports import Clock


@dataclass(slots=True, kw_only=True)
class _Placed:
    """An order and its lease."""

    order: Order
    owner: str | None = None
    expires_at: float | None = None
    fence: int = 0


class MemoryOrders(ABC):
    """Orders and schedules, in the order in which they came."""

    _clock: Clock
    _entries: dict[str, Entry]

    def __init__(self) -> None:
        self._orders: dict[str, _Placed] = {}
        self._schedules: dict[str, Schedule] = {}

    @abstractmethod
    def _insert(self, job: Job, *, fresh: bool) -> tuple[Job, bool]:
        """Find the job or make it, as the whole store does."""

    # --- orders -------------------------------------------------------------------------------

    async def place_order(self, order_id: str, blueprint: Blueprint, *, fresh: bool) -> Order:
        """See :meth:`batcher.ports.OrderStore.place_order`."""
        if order_id not in self._orders:
            kept = blueprint_value(blueprint_text(blueprint))
            now = utc(self._clock.wall())
            self._keep(Order(id=order_id, blueprint=kept, fresh=fresh, asked_at=now))
        return self._orders[order_id].order

    async def order(self, order_id: str) -> Order:
        """See :meth:`batcher.ports.OrderStore.order`."""
        return self._placed(order_id).order

    async def waiting_orders(self, *, limit: int = 100) -> list[Order]:
        """See :meth:`batcher.ports.OrderStore.waiting_orders`."""
        now = self._clock.wall()
        waiting = [
            placed.order
            for placed in self._orders.values()
            if placed.order.state is OrderState.WAITING
            and (placed.expires_at is None or placed.expires_at <= now)
        ]
        return sorted(waiting, key=lambda order: (order.asked_at, order.id))[:limit]

    async def claim_order(
        self, order_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> int | None:
        """See :meth:`batcher.ports.OrderStore.claim_order`."""
        placed, now = self._placed(order_id), self._clock.wall()
        if placed.order.state is not OrderState.WAITING:
            return None
        held = placed.expires_at is not None and now < placed.expires_at
        if placed.owner != owner:
            if held:
                return None
            placed.fence += 1
        if unblamed and held:
            placed.order = replace(placed.order, forgiven=placed.order.forgiven + 1)
        placed.owner, placed.expires_at = owner, now + ttl_seconds
        return placed.fence

    async def open_ordered(self, order_id: str, fence: int, job: Job) -> Job | None:
        """See :meth:`batcher.ports.OrderStore.open_ordered`."""
        placed = self._placed(order_id)
        order = placed.order
        if order.state is not OrderState.WAITING or placed.fence != fence:
            return None
        if order.job_id is not None:
            return self._entries[order.job_id].job
        opened, _ = self._insert(replace(job, schedule=order.schedule), fresh=order.fresh)
        placed.order = replace(order, job_id=opened.id)
        return opened

    async def settle_order(
        self, order_id: str, fence: int, state: OrderState, *, error: str | None = None
    ) -> bool:
        """See :meth:`batcher.ports.OrderStore.settle_order`."""
        placed = self._placed(order_id)
        order = placed.order
        if order.state is not OrderState.WAITING or placed.fence != fence:
            return (placed.fence, order.state, order.error) == (fence, state, error)
        placed.order = replace(order, state=state, error=error)
        placed.owner = placed.expires_at = None
        return True

    async def unplanned_jobs(self) -> list[str]:
        """See :meth:`batcher.ports.OrderStore.unplanned_jobs`."""
        now = self._clock.wall()
        ordered = {placed.order.job_id for placed in self._orders.values()}
        jobs = [
            entry.job
            for entry in self._entries.values()
            if entry.job.id in ordered
            and entry.job.state is JobState.OPEN
            and not entry.job.planned
            and (entry.plan_expires_at is None or entry.plan_expires_at <= now)
        ]
        return [job.id for job in sorted(jobs, key=lambda job: (job.created_at, job.id))]

    async def purge_orders(self, before: datetime) -> int:
        """See :meth:`batcher.ports.OrderStore.purge_orders`."""
        ended = {OrderState.FAILED, OrderState.SKIPPED}
        old = [
            placed.order.id
            for placed in self._orders.values()
            if placed.order.state in ended
            and placed.order.job_id is None
            and placed.order.asked_at < before
        ]
        for order_id in old:
            del self._orders[order_id]
        return len(old)

    # --- schedules ----------------------------------------------------------------------------

    async def moment(self) -> datetime:
        """See :meth:`batcher.ports.ScheduleStore.moment`."""
        return utc(self._clock.wall())

    async def add_schedule(self, schedule: Schedule) -> bool:
        """See :meth:`batcher.ports.ScheduleStore.add_schedule`."""
        kept = blueprint_value(blueprint_text(schedule.blueprint))
        schedule = replace(schedule, blueprint=kept)
        return self._schedules.setdefault(schedule.name, schedule) == schedule

    async def remove_schedule(self, name: str) -> bool:
        """See :meth:`batcher.ports.ScheduleStore.remove_schedule`."""
        for placed in self._firings(name):
            order, now = placed.order, self._clock.wall()
            free = placed.expires_at is None or placed.expires_at <= now
            if order.state is OrderState.WAITING and order.job_id is None and free:
                del self._orders[placed.order.id]
        return self._schedules.pop(name, None) is not None

    async def hold_schedule(self, name: str, *, paused: bool, next_due: datetime | None) -> bool:
        """See :meth:`batcher.ports.ScheduleStore.hold_schedule`."""
        schedule = self._schedules.get(name)
        if schedule is not None:
            self._schedules[name] = replace(schedule, paused=paused, next_due=next_due)
        return schedule is not None

    async def schedules(self) -> list[Schedule]:
        """See :meth:`batcher.ports.ScheduleStore.schedules`."""
        return sorted(self._schedules.values(), key=lambda schedule: schedule.name)

    async def due_schedules(self) -> tuple[datetime, list[Schedule]]:
        """See :meth:`batcher.ports.ScheduleStore.due_schedules`."""
        now = await self.moment()
        held = [(s.next_due, s) for s in self._schedules.values() if not s.paused]
        due = [(at, schedule) for at, schedule in held if at is not None and at <= now]
        return now, [schedule for _, schedule in sorted(due, key=lambda pair: pair[0])]

    async def fire(self, name: str, firing: Firing) -> Order | None:
        """See :meth:`batcher.ports.ScheduleStore.fire`."""
        schedule = self._schedules.get(name)
        if firing.order_id in self._orders:
            return self._orders[firing.order_id].order
        if schedule is None:
            return None
        if firing.due is not None:
            if schedule.paused or schedule.next_due != firing.was_due:
                return None
            self._schedules[name] = replace(schedule, next_due=firing.next_due)
            if any(placed.order.due_at == firing.due for placed in self._firings(name)):
                return None
        busy = None if schedule.overlap else self._under_way(name)
        order = fired(schedule, firing, now=self._clock.wall(), busy=busy)
        self._keep(order)
        return order

    async def firings(self, name: str, *, limit: int = 100) -> list[Order]:
        """See :meth:`batcher.ports.ScheduleStore.firings`."""
        orders = [placed.order for placed in self._firings(name)]
        orders.sort(key=lambda order: (order.asked_at, order.id), reverse=True)
        return orders[:limit]

    def _under_way(self, name: str) -> str | None:
        for placed in self._firings(name):
            job_id = placed.order.job_id
            entry = None if job_id is None else self._entries.get(job_id)
            state = None if entry is None else entry.job.state
            going = entry is not None and is_under_way(entry.job)
            if placed.order.state is OrderState.WAITING or going:
                return under_way(job_id, state)
        return None

    def _firings(self, name: str) -> list[_Placed]:
        return [placed for placed in self._orders.values() if placed.order.schedule == name]

    def _keep(self, order: Order) -> None:
        self._orders[order.id] = _Placed(order=order)

    def _forget_orders(self, job_id: str) -> None:
        """Those of a job that is being purged."""
        self._orders = {id_: p for id_, p in self._orders.items() if p.order.job_id != job_id}

    def _placed(self, order_id: str) -> _Placed:
        try:
            return self._orders[order_id]
        except KeyError:
            raise unknown_order(order_id) from None
