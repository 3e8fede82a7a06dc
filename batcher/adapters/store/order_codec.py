"""Orders and schedules as rows, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batcher.adapters.store.codec import json_text, json_value
from batcher.adapters.store.damage import reading
from batcher.core.job.schedule import Missed
from batcher.core.kind import TextFile
from batcher.ports import Blueprint, Order, OrderState, Schedule

if TYPE_CHECKING:
    from sqlalchemy import RowMapping


def blueprint_text(blueprint: Blueprint) -> str:
    """A blueprint as JSON."""
    files = {name: [file.path, file.text] for name, file in blueprint.files.items()}
    plain = {"job": dict(blueprint.spec), "files": files}
    if blueprint.delivery is not None:
        plain["delivery"] = dict(blueprint.delivery)
    return json_text(plain)


def blueprint_value(text: str) -> Blueprint:
    """The reverse of :func:`blueprint_text`."""
    plain = json_value(text)
    files = {name: TextFile(*pair) for name, pair in plain["files"].items()}
    return Blueprint(spec=plain["job"], files=files, delivery=plain.get("delivery"))


@reading("job_order")
def order_value(row: RowMapping) -> Order:
    """An order from its row."""
    return Order(
        id=row["id"],
        blueprint=blueprint_value(row["blueprint"]),
        fresh=row["fresh"],
        asked_at=row["asked_at"],
        state=OrderState(row["state"]),
        schedule=row["schedule"],
        due_at=row["due_at"],
        job_id=row["job_id"],
        error=row["error"],
        forgiven=row["forgiven"],
    )


def schedule_row(schedule: Schedule) -> dict[str, Any]:
    """A schedule as the columns of its row."""
    return {
        "name": schedule.name,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "blueprint": blueprint_text(schedule.blueprint),
        "missed": schedule.missed.value,
        "overlap": schedule.overlap,
        "paused": schedule.paused,
        "next_due": schedule.next_due,
        "created_at": schedule.created_at,
    }


@reading("schedule")
def schedule_value(row: RowMapping) -> Schedule:
    """The reverse of :func:`schedule_row`."""
    return Schedule(
        name=row["name"],
        cron=row["cron"],
        timezone=row["timezone"],
        blueprint=blueprint_value(row["blueprint"]),
        missed=Missed(row["missed"]),
        overlap=row["overlap"],
        paused=row["paused"],
        next_due=row["next_due"],
        created_at=row["created_at"],
    )
