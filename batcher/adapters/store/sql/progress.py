"""The verbs of :class:`batcher.ports.ShardStore` that move a shard on, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Boolean, bindparam, case, delete, insert, null, select, update

from batcher.adapters.store.checksum import results_checksum
from batcher.adapters.store.codec import counter_row, dead_row, event_text
from batcher.adapters.store.lifecycle import moved
from batcher.adapters.store.settlement import (
    PLANNED,
    CheckpointState,
    JobBudget,
    Settlement,
    settle,
)
from batcher.adapters.store.sql.jobs import (
    DONE,
    OPEN,
    lock_shards,
    locked_job,
    must_exist,
    write_state,
)
from batcher.adapters.store.sql.tables import CHECKPOINT, DEAD_LETTER, JOB, SHARD
from batcher.core.errors import StoreError
from batcher.core.model import Doubt, JobEvent, JobState, Usage
from batcher.core.progress import ShardEvent
from batcher.ports import BudgetShort

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import ColumnElement, Connection

    from batcher.adapters.store.database import Database
    from batcher.ports import AnsweredPiece, Checkpoint

    KeepAnswers: TypeAlias = Callable[[Connection, Sequence[AnsweredPiece]], None]
    """Writes what was answered, in the transaction of the checkpoint that says so. A transaction
    may be run again: what it did the first time is undone then, or counts once."""

_ADDED = ("rows_done", "pieces_done", *counter_row(Usage(), Doubt()))
_REPLACED = ("seq", "reserved_picousd", "sent_fence", "sent_through")
_ENDS: ColumnElement[bool] = bindparam("ends", type_=Boolean)
_FINISHED: ColumnElement[bool] = bindparam("finished", type_=Boolean)
_MOVE_SHARD = (
    update(SHARD)
    .where(
        SHARD.c.id == bindparam("of"),
        SHARD.c.fence == bindparam("under"),
        SHARD.c.seq < bindparam("new_seq"),
    )
    .values(
        {name: SHARD.c[name] + bindparam(f"more_{name}") for name in _ADDED}
        | {name: bindparam(f"new_{name}") for name in _REPLACED}
        | {
            "state": case((_FINISHED, DONE), else_=SHARD.c.state),
            "owner": case((_ENDS, null()), else_=SHARD.c.owner),
            "expires_at": case((_ENDS, null()), else_=SHARD.c.expires_at),
        }
    )
)
_PURSE = select(JOB.c.budget_picousd, JOB.c.committed_picousd).where(JOB.c.id == bindparam("of"))
_SPEND = (
    update(JOB)
    .where(JOB.c.id == bindparam("of"))
    .values(committed_picousd=JOB.c.committed_picousd + bindparam("delta"))
)
_SPEND_WHAT_IS_LEFT = _SPEND.where(
    JOB.c.budget_picousd - JOB.c.committed_picousd >= bindparam("delta")
)
_STANDINGS = (
    select(SHARD.c.id, SHARD.c.fence, SHARD.c.seq, SHARD.c.reserved_picousd)
    .add_columns(SHARD.c.sent_fence, SHARD.c.sent_through)
    .where(SHARD.c.job_id == bindparam("of"), SHARD.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(SHARD.c.id)
    .with_for_update(key_share=True)
)
_INSERT_CHECKPOINT = insert(CHECKPOINT)
_INSERT_DEAD = insert(DEAD_LETTER)


class SqlProgress:
    """Checkpoints and retries, in the tables ``shard``, ``checkpoint`` and ``dead_letter``."""

    def __init__(self, database: Database, keep_answers: KeepAnswers | None = None) -> None:
        """``keep_answers`` is given what checkpoints say was answered, in their transaction."""
        self._database = database
        self._keep_answers = keep_answers

    async def checkpoint(self, job_id: str, checkpoints: Sequence[Checkpoint]) -> set[int]:
        """See :meth:`batcher.ports.ShardStore.checkpoint`."""

        def work(connection: Connection) -> set[int]:
            checkpoint_states = _standings(connection, job_id, checkpoints)
            job_budget = _job_budget(connection, job_id)
            settlement = settle(checkpoints, checkpoint_states, job_budget)
            if settlement.fresh:
                _write(connection, job_id, settlement)
                if self._keep_answers is not None:
                    self._keep_answers(connection, _answered(settlement))
            if job_budget is not None and settlement.delta_picousd:
                _spend(connection, job_id, settlement)
            return set(settlement.stale)

        return await self._database.write(work)

    async def reopen_dead(self, job_id: str, *, codes: Collection[str] = ()) -> int:
        """See :meth:`batcher.ports.ShardStore.reopen_dead`."""
        again = (
            DEAD_LETTER.c.job_id == job_id,
            DEAD_LETTER.c.final.is_(False),
            DEAD_LETTER.c.piece != PLANNED,
            *([DEAD_LETTER.c.code.in_(codes)] if codes else []),
        )
        letters = (
            select(DEAD_LETTER.c.shard_id, DEAD_LETTER.c.piece, SHARD.c.fence)
            .join(SHARD, SHARD.c.id == DEAD_LETTER.c.shard_id)
            .where(*again)
            .order_by(DEAD_LETTER.c.shard_id, DEAD_LETTER.c.piece)
        )
        counted = 0

        def work(connection: Connection) -> int:
            nonlocal counted
            must_exist(connection, job_id)
            lock_shards(connection, job_id)
            pieces: dict[tuple[int, int], list[int]] = {}
            for shard_id, piece, fence in connection.execute(letters):
                pieces.setdefault((shard_id, fence + 1), []).append(piece)
            if not pieces:
                return counted  # not 0 where this is done again, for the reply was lost
            _reopen(connection, pieces)
            connection.execute(delete(DEAD_LETTER).where(*again))
            job = locked_job(connection, job_id)
            if job.state is JobState.COMPLETE:
                now = self._database.now(connection)
                write_state(connection, moved(job, JobEvent.RETRY, now=now))
            counted = sum(len(some) for some in pieces.values())
            return counted

        return await self._database.write(work)


def _answered(settlement: Settlement) -> list[AnsweredPiece]:
    return [piece for checkpoint, _ in settlement.fresh for piece in checkpoint.answered]


def _job_budget(connection: Connection, job_id: str) -> JobBudget | None:
    """The job's money at this moment; others may spend of it before the transaction ends."""
    row = connection.execute(_PURSE, {"of": job_id}).first()
    if row is None or row.budget_picousd is None:
        return None
    return JobBudget(budget_picousd=row.budget_picousd, committed_picousd=row.committed_picousd)


def _spend(connection: Connection, job_id: str, settlement: Settlement) -> None:
    """Move the job's money, as the last thing of the transaction: all its workers share that row.

    Raises:
        BudgetShort: others have spent since it was looked at, and too little is left.
    """
    spend = _SPEND_WHAT_IS_LEFT if settlement.asking else _SPEND
    delta = {"of": job_id, "delta": settlement.delta_picousd}
    if not connection.execute(spend, delta).rowcount:
        job_budget = _job_budget(connection, job_id)
        raise BudgetShort(job_budget.available_picousd if job_budget is not None else 0)


def _standings(
    connection: Connection, job_id: str, checkpoints: Sequence[Checkpoint]
) -> dict[int, CheckpointState]:
    """What the shards' rows say; they stay so until the end of the transaction."""
    ids = list({checkpoint.shard_id for checkpoint in checkpoints})
    return {
        row.id: CheckpointState(
            fence=row.fence,
            seq=row.seq,
            reserved_picousd=row.reserved_picousd,
            sent_fence=row.sent_fence,
            sent_through=row.sent_through,
        )
        for row in connection.execute(_STANDINGS, {"of": job_id, "ids": ids})
    }


def _write(connection: Connection, job_id: str, settlement: Settlement) -> None:
    """Move the shards' rows first: a fence that has moved on leaves one of them untouched."""
    moved = connection.execute(
        _MOVE_SHARD, [_moves(checkpoint, after) for checkpoint, after in settlement.fresh]
    )
    if moved.rowcount != len(settlement.fresh):
        raise StoreError("a shard was claimed while its checkpoint was written: nothing is lost")
    connection.execute(
        _INSERT_CHECKPOINT,
        [
            {
                "shard_id": checkpoint.shard_id,
                "fence": checkpoint.fence,
                "seq": checkpoint.seq,
                "event": (event := event_text(checkpoint.event)),
                "results": checkpoint.results,
                "bills": checkpoint.bills,
                "checksum": results_checksum(event, checkpoint.results, checkpoint.bills),
            }
            for checkpoint, _ in settlement.fresh
        ],
    )
    dead = [
        dead_row(letter, job_id=job_id, shard_id=checkpoint.shard_id, piece=piece)
        for checkpoint, _ in settlement.fresh
        for letter, piece in zip(checkpoint.dead, checkpoint.event.dead, strict=True)
    ]
    if dead:
        connection.execute(_INSERT_DEAD, dead)


def _moves(checkpoint: Checkpoint, after: CheckpointState) -> dict[str, Any]:
    """The parameters of ``_MOVE_SHARD``."""
    added = counter_row(checkpoint.usage, checkpoint.doubt) | {
        "rows_done": checkpoint.rows_done,
        "pieces_done": len(checkpoint.event.done) - len(checkpoint.event.reopened),
    }
    return {
        "of": checkpoint.shard_id,
        "under": checkpoint.fence,
        "finished": checkpoint.finished,
        "ends": checkpoint.finished or checkpoint.released,
        **{f"more_{name}": added[name] for name in _ADDED},
        **{f"new_{name}": getattr(after, name) for name in _REPLACED},
    }


def _reopen(connection: Connection, pieces: dict[tuple[int, int], list[int]]) -> None:
    """Open these shards, by (id, new fence), with an event that names the pieces."""
    reopen = update(SHARD).where(SHARD.c.id == bindparam("of"))
    connection.execute(
        reopen.values(state=OPEN, owner=None, expires_at=None, fence=bindparam("new_fence"), seq=0),
        [{"of": shard_id, "new_fence": fence} for shard_id, fence in pieces],
    )
    connection.execute(
        _INSERT_CHECKPOINT,
        [
            {
                "shard_id": shard_id,
                "fence": fence,
                "seq": 0,
                "event": (event := event_text(ShardEvent(fence=fence, reopened=tuple(reopened)))),
                "results": b"",
                "checksum": results_checksum(event, b""),
            }
            for (shard_id, fence), reopened in pieces.items()
        ],
    )
