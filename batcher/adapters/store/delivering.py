"""What a claim, and the end of an attempt, do to a delivery; the same in every store.

A delivery is a row here: a mapping with the columns of the table ``delivery``. Decided without I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batcher.adapters.store.codec import json_text, json_value, storable
from batcher.adapters.store.damage import reading
from batcher.adapters.store.lifecycle import utc
from batcher.core.job.delivery import pause_seconds
from batcher.ports import DeliveryLease, DeliveryState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNTOUCHED: Mapping[str, Any] = {
    "attempts": 0,
    "cause": None,
    "exit_code": None,
    "next_at": None,
    "cursor": 0,
    "records": 0,
    "files": "[]",
    "delivered_at": None,
    "owner": None,
    "expires_at": None,
}
"""A delivery that nobody has begun."""


def newly_set(row: Mapping[str, Any] | None, target: str) -> Mapping[str, Any]:
    """What setting a delivery to a target changes; of a new row, all of it."""
    if row is None:
        return {"target": target, "fence": 0, **UNTOUCHED}
    if row["target"] != target:
        return {"target": target, "fence": row["fence"] + 1, **UNTOUCHED}
    if row["owner"] is not None or row["delivered_at"] is not None:
        return {}
    return {"next_at": None, "cause": None, "exit_code": None}


def granted(
    row: Mapping[str, Any], owner: str, ttl_seconds: float, *, now: float, unblamed: bool
) -> Mapping[str, Any] | None:
    """What a claim of a delivery that is due changes; None where it may not be claimed.

    Of its own owner, who extends the lease or, ``unblamed``, gives it back; or of another.
    """
    held = row["expires_at"] is not None and now < row["expires_at"]
    lease = {"owner": owner, "expires_at": now + ttl_seconds}
    if row["owner"] == owner:
        if not (unblamed and held):
            return lease
        return {**lease, "attempts": row["attempts"] - 1, "next_at": None}
    if held or unblamed or (row["next_at"] is not None and now < row["next_at"]):
        return None
    pause = pause_seconds(row["attempts"])
    return {
        **lease,
        "fence": row["fence"] + 1,
        "attempts": row["attempts"] + 1,
        "next_at": now + ttl_seconds + pause,
    }


def delivered(files: Sequence[str], *, now: float) -> Mapping[str, Any]:
    """What the end of an attempt changes that wrote these files."""
    return {
        **_ENDED,
        "files": json_text([storable(file) for file in files]),
        "delivered_at": utc(now),
    }


def failed(
    row: Mapping[str, Any], cause: str, exit_code: int, *, now: float, elsewhere: bool
) -> Mapping[str, Any]:
    """What the end of an attempt changes that failed, or that another may make ``elsewhere``."""
    attempts = row["attempts"]
    return {
        **_ENDED,
        "cause": storable(cause),
        "exit_code": exit_code,
        "next_at": None if elsewhere else now + pause_seconds(attempts),
        "attempts": attempts - 1 if elsewhere and row["owner"] else attempts,
        "files": "[]",
    }


_ENDED: Mapping[str, Any] = {
    "cause": None,
    "exit_code": None,
    "next_at": None,
    "delivered_at": None,
    "owner": None,
    "expires_at": None,
}


def is_settled_so(row: Mapping[str, Any], end: Mapping[str, Any]) -> bool:
    """Whether an attempt that is over has ended in this way."""
    return bool(row["cause"] or row["delivered_at"]) and all(
        row[name] == end[name] for name in ("cause", "exit_code", "files")
    )


@reading("delivery")
def delivery_state(row: Mapping[str, Any], now: float) -> DeliveryState:
    """Where it stands."""
    leased = row["expires_at"] is not None and now < row["expires_at"]
    waits = row["cause"] is not None and row["next_at"] is not None and not leased
    return DeliveryState(
        target=json_value(row["target"]),
        attempts=row["attempts"],
        cause=row["cause"],
        exit_code=row["exit_code"],
        next_at=utc(row["next_at"]) if waits else None,
        leased=leased,
        files=tuple(json_value(row["files"])),
        delivered_at=row["delivered_at"],
    )


@reading("delivery")
def delivery_lease(row: Mapping[str, Any]) -> DeliveryLease:
    """The right to deliver it, once it is granted."""
    return DeliveryLease(
        job_id=row["job_id"],
        target=json_value(row["target"]),
        fence=row["fence"],
        attempts=row["attempts"],
        cursor=row["cursor"],
        records=row["records"],
    )
