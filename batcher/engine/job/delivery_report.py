"""What is said of a delivery: where it goes, how it stands, what was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batcher.core.job.urls import shown_input
from batcher.ports import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """The delivery of a job's results by whoever completes it.

    ``status`` is ``waiting`` (for the job, or for somebody who can deliver it), ``delivering``,
    ``delivered``, or ``failed``, which is tried again ``next_at``. ``attempts`` counts those since
    the job was completed last.
    """

    output: str
    status: str
    attempts: int
    cause: str | None
    next_at: datetime | None
    delivered_at: datetime | None
    files: tuple[str, ...]

    @classmethod
    def of(cls, state: DeliveryState) -> DeliveryReport:
        """What the store's state says."""
        status = "waiting"
        if state.delivered_at is not None:
            status = "delivered"
        elif state.leased:
            status = "delivering"
        elif state.failed:
            status = "failed"
        return cls(
            output=shown_input(str(state.target.get("output", ""))),
            status=status,
            attempts=state.attempts,
            cause=state.cause,
            next_at=state.next_at,
            delivered_at=state.delivered_at,
            files=state.files,
        )

    def to_json(self) -> Mapping[str, Any]:
        """As the command line prints it."""
        return {
            "output": self.output,
            "status": self.status,
            "attempts": self.attempts,
            "cause": self.cause,
            "next_at": _time(self.next_at),
            "delivered_at": _time(self.delivered_at),
            "files": list(self.files),
        }


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
