"""The verbs of :class:`batcher.ports.DeliveryStore` in dictionaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batcher.adapters.store.codec import json_text
from batcher.adapters.store.delivering import (
    UNTOUCHED,
    delivered,
    delivery_lease,
    delivery_state,
    failed,
    granted,
    is_settled_so,
    newly_set,
)
from batcher.adapters.store.lifecycle import moved, unknown_job
from batcher.core.model import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batcher.adapters.store.memory.jobs import Entry
    from batcher.core.model import JobEvent
    from batcher.ports import Clock, DeliveryLease, DeliveryState


class MemoryDeliveries:
    """Deliveries by job, each a row as the table ``delivery`` has it."""

    _clock: Clock
    _entries: dict[str, Entry]

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    async def set_delivery(self, job_id: str, target: Mapping[str, Any]) -> None:
        """See :meth:`batcher.ports.DeliveryStore.set_delivery`."""
        if job_id not in self._entries:
            raise unknown_job(job_id)
        change = newly_set(self._rows.get(job_id), json_text(dict(target)))
        self._rows.setdefault(job_id, {"job_id": job_id}).update(change)

    async def delivery(self, job_id: str) -> DeliveryState | None:
        """See :meth:`batcher.ports.DeliveryStore.delivery`."""
        row = self._rows.get(job_id)
        return None if row is None else delivery_state(row, self._clock.wall())

    async def deliveries(self, job_ids: Sequence[str]) -> dict[str, DeliveryState]:
        """See :meth:`batcher.ports.DeliveryStore.deliveries`."""
        now = self._clock.wall()
        known = [job_id for job_id in job_ids if job_id in self._rows]
        return {job_id: delivery_state(self._rows[job_id], now) for job_id in known}

    async def due_deliveries(self, *, limit: int = 100) -> list[str]:
        """See :meth:`batcher.ports.DeliveryStore.due_deliveries`."""
        now = self._clock.wall()
        due = [
            self._entries[job_id].job
            for job_id, row in self._rows.items()
            if self._is_due(job_id)
            and all(row[at] is None or row[at] <= now for at in ("expires_at", "next_at"))
        ]
        due.sort(key=lambda job: (job.finished_at or job.created_at, job.id))
        return [job.id for job in due[:limit]]

    async def failing_deliveries(self) -> int:
        """See :meth:`batcher.ports.DeliveryStore.failing_deliveries`."""
        return sum(row["cause"] is not None and self._is_due(of) for of, row in self._rows.items())

    async def claim_delivery(
        self, job_id: str, owner: str, ttl_seconds: float, *, unblamed: bool = False
    ) -> DeliveryLease | None:
        """See :meth:`batcher.ports.DeliveryStore.claim_delivery`."""
        if not self._is_due(job_id):
            return None
        row = self._rows[job_id]
        change = granted(row, owner, ttl_seconds, now=self._clock.wall(), unblamed=unblamed)
        if change is None:
            return None
        row.update(change)
        return delivery_lease(row)

    async def advance_delivery(self, job_id: str, fence: int, *, cursor: int, records: int) -> bool:
        """See :meth:`batcher.ports.DeliveryStore.advance_delivery`."""
        row = self._rows.get(job_id)
        if row is None or row["fence"] != fence or row["owner"] is None:
            return False
        row.update(cursor=cursor, records=records)
        return True

    async def settle_delivery(
        self,
        job_id: str,
        fence: int,
        *,
        files: Sequence[str] = (),
        cause: str | None = None,
        exit_code: int = 1,
        elsewhere: bool = False,
    ) -> bool:
        """See :meth:`batcher.ports.DeliveryStore.settle_delivery`."""
        row = self._rows.get(job_id)
        if row is None or row["fence"] != fence:
            return False
        now = self._clock.wall()
        if cause is None:
            end = delivered(files, now=now)
        else:
            end = failed(row, cause, exit_code, now=now, elsewhere=elsewhere)
        if row["owner"] is None:
            return is_settled_so(row, end)
        row.update(end)
        return True

    def _is_due(self, job_id: str) -> bool:
        row, entry = self._rows.get(job_id), self._entries.get(job_id)
        if row is None or entry is None:
            return False
        return entry.job.state is JobState.COMPLETE and row["delivered_at"] is None

    def _move(self, entry: Entry, event: JobEvent, **why: Any) -> None:
        """Move a job; what was delivered of one that is open (again) counts no more."""
        entry.job = moved(entry.job, event, now=self._clock.wall(), **why)
        row = self._rows.get(entry.job.id)
        if row is not None and entry.job.state is JobState.OPEN:
            row.update({**UNTOUCHED, "fence": row["fence"] + 1})

    def _forget_delivery(self, job_id: str) -> None:
        """That of a job that is being purged."""
        self._rows.pop(job_id, None)
