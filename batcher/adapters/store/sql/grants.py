"""How shards are picked and granted: one statement on a server, two under SQLite's one writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, tuple_, update

from batcher.adapters.store.settlement import NO_SEQ
from batcher.adapters.store.sql.jobs import OPEN
from batcher.adapters.store.sql.tables import PAYLOAD, PROMPTS, SHARD

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

_LEASED = (SHARD.c.id, SHARD.c.ordinal, SHARD.c.fence, SHARD.c.sent_fence, SHARD.c.sent_through)
_PLAN = (
    PAYLOAD.c.outline,
    PAYLOAD.c.checksum,
    PROMPTS.c.prompts,
    PROMPTS.c.checksum.label("prompts_checksum"),
)


def grant(
    connection: Connection,
    job_id: str,
    owner: str,
    *,
    limit: int,
    now: float,
    expires_at: float,
    expired_only: bool,
    exclude: Collection[int],
) -> Sequence[Row[Any]]:
    """Lease the lowest claimable shards, or the lowest of them whose owner has died.

    Rows of id, ordinal, fence (the new one), sent_fence, sent_through, outline, checksum, prompts
    and prompts_checksum, by ordinal.
    """
    lease = {"owner": owner, "expires_at": expires_at, "fence": SHARD.c.fence + 1, "seq": NO_SEQ}
    picked = _claimable(job_id, now=now, expired_only=expired_only, exclude=exclude)
    if connection.dialect.name == "postgresql":
        free = picked.limit(limit).with_for_update(key_share=True, skip_locked=True)
        # What is locked may be claimable all the same: who locks all shards, to sum them up say,
        # gives them back as they were. That is waited for where there is nothing else.
        any_one = picked.limit(1).with_for_update(key_share=True)
        return _grant_picked(connection, free, lease) or _grant_picked(connection, any_one, lease)
    picked = picked.limit(limit)
    ids = connection.scalars(picked).all()
    if ids:
        connection.execute(update(SHARD).where(SHARD.c.id.in_(ids)).values(lease))
    leased = select(*_LEASED, *_PLAN).where(SHARD.c.id.in_(ids))
    return connection.execute(_with_plans(leased, SHARD.c.id).order_by(SHARD.c.ordinal)).all()


def _grant_picked(
    connection: Connection, picked: Select[int], lease: dict[str, Any]
) -> Sequence[Row[Any]]:
    """Pick, grant and fetch in one statement. MATERIALIZED: picked once, however it is planned."""
    cte = picked.cte("picked").prefix_with("MATERIALIZED", dialect="postgresql")
    grants = update(SHARD).where(SHARD.c.id == cte.c.id).values(lease).returning(*_LEASED)
    granted = grants.cte("granted")
    leased = _with_plans(select(granted, *_PLAN), granted.c.id)
    return connection.execute(leased.order_by(granted.c.ordinal)).all()


def _with_plans(leased: Select[Any], shard_id: ColumnElement[int]) -> Select[Any]:
    """With all of the plan; older ones have no prompts of their own."""
    return leased.join(PAYLOAD, PAYLOAD.c.shard_id == shard_id).outerjoin(
        PROMPTS, PROMPTS.c.shard_id == shard_id
    )


def give_back(connection: Connection, owner: str, granted: Sequence[tuple[int, int]]) -> None:
    """Take back grants, by (shard, fence), that nobody has heard of."""
    unheard = update(SHARD).where(
        tuple_(SHARD.c.id, SHARD.c.fence).in_(granted), SHARD.c.owner == owner
    )
    connection.execute(unheard.values(owner=None, expires_at=None))


def _claimable(
    job_id: str, *, now: float, expired_only: bool, exclude: Collection[int]
) -> Select[int]:
    over = SHARD.c.expires_at <= now
    claimable = (
        select(SHARD.c.id)
        .where(SHARD.c.job_id == job_id, SHARD.c.state == OPEN)
        .where(over if expired_only else or_(SHARD.c.expires_at.is_(None), over))
        .order_by(SHARD.c.ordinal)
    )
    return claimable.where(SHARD.c.id.not_in(exclude)) if exclude else claimable
