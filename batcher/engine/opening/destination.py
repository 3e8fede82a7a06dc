"""Where the results of a job go that others will deliver: checked here, and set once it is open."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo

from batcher.core.errors import UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.core.model import Job
from batcher.core.options import is_unicode
from batcher.engine.delivery.files import Delivery
from batcher.engine.delivery.overwriting import Output
from batcher.engine.opening.binding import Bound
from batcher.engine.services import Services


def check_destination(services: Services, bound: Bound, delivery: DeliverySpec) -> None:
    """Refuse a destination that no worker could write to. It is not looked for here.

    Raises:
        UsageError: it is standard output, its format is wrong, or nothing that is installed here
            writes there.
    """
    if delivery.output == "-":
        raise UsageError("workers have no standard output of yours: name a file with -o OUTPUT")
    if not is_unicode(delivery.output):
        raise UsageError(f"{delivery.output!r} is not UTF-8, and no database could keep it")
    target = Output(
        path=delivery.output, format=delivery.format, every_row=delivery.failed_rows == "null"
    )
    Delivery(services.store, services.files).check_form(target, bound.description)


def day_of(delivery: DeliverySpec, moment: datetime) -> date:
    """The day of a moment in the zone of a delivery: its ``{date}``.

    Raises:
        UsageError: that zone is not known here.
    """
    return moment.astimezone(_zone(delivery.timezone)).date()


async def set_destination(services: Services, job: Job, delivery: DeliverySpec, day: date) -> None:
    """Have the job delivered whenever it is complete; ``day`` is its ``{date}``."""
    filled = delivery.filled(job=job.id, name=job.name, day=day)
    await services.store.set_delivery(job.id, filled.to_json())


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise UsageError(f"no time zone {name!r} is known on this machine") from exc
