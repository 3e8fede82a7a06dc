"""Schedules that are due: decided by values, fired by the store, by whichever worker is first."""

from __future__ import annotations

import secrets

from batcher.core.errors import UsageError
from batcher.core.job.schedule import decide
from batcher.engine.services import Services
from batcher.ports import Event, Firing, Log, OrderState


def order_id() -> str:
    """An id that no other order ever has."""
    return secrets.token_hex(8)


async def fire_due(services: Services, log: Log) -> None:
    """Fire every schedule that is due by the database's clock.

    Raises:
        StoreError: the database cannot be asked.
    """
    store = services.store
    now, due = await store.due_schedules()
    for schedule in due:
        try:
            times = services.due_times(schedule.cron, schedule.timezone)
        except UsageError:  # a zone that this machine has never heard of
            log(Event.SCHEDULE_REFUSED, schedule=schedule.name)
            continue
        decision = decide(times, next_due=schedule.next_due, now=now, missed=schedule.missed)
        if decision is None:
            continue
        order = await store.fire(
            schedule.name,
            Firing(
                order_id=order_id(),
                due=decision.due,
                was_due=schedule.next_due,
                next_due=decision.next_due,
                skipped=decision.skipped,
            ),
        )
        if order is not None:
            skipped = order.state is OrderState.SKIPPED
            log(
                Event.SCHEDULE_SKIPPED if skipped else Event.SCHEDULE_FIRED,
                schedule=schedule.name,
                due=decision.due.isoformat(),
                reason=order.error,
            )
