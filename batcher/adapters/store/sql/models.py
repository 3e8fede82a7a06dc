"""The truth about the tables. No class of these is used when a database is: see below.

The store's statements take the tables of :mod:`.tables`, which ``scripts/make-tables`` writes from
these classes (a test holds the two together): importing SQLModel, with pydantic and SQLAlchemy's
ORM, took a tenth of a second of every command. The store speaks in the values of the ports.

What changes often is narrow: renewing a lease rewrites a ``shard`` row, never a payload. What is
large is written once. Table models skip validation; what goes in has been validated before. Times
of leases are Unix seconds of the database's clock. Money is whole picodollars.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from batcher.adapters.store.sql.columns import CONSTRAINT_NAMES, UtcDateTime, key_type

_Key = key_type()

# What rows have that were written before there was such a column.
_ZERO = {"server_default": text("0")}


class Base(SQLModel):
    """The root of the tables, with metadata of its own and names for every constraint."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=CONSTRAINT_NAMES)


class JobRow(Base, table=True):
    """A job, the plan's lease and cursor, and what is committed of its budget.

    ``committed_picousd`` is kept only while there is a budget; setting one sums it up afresh.
    """

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("fingerprint", "generation"),
        Index("ix_job_created_at", "created_at", "id"),
    )

    id: str = Field(primary_key=True, sa_type=Text)
    fingerprint: str = Field(sa_type=Text)
    generation: int
    spec: str = Field(sa_type=Text)
    facts: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    resume_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    planned: bool = False
    plan_row: int = Field(default=0, sa_type=BigInteger)
    plan_shard: int = 0
    plan_fence: int = 0
    plan_owner: str | None = Field(default=None, sa_type=Text)
    plan_expires_at: float | None = Field(default=None, sa_type=Double)
    budget_picousd: int | None = Field(default=None, sa_type=BigInteger)
    committed_picousd: int = Field(default=0, sa_type=BigInteger)
    learned: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    version: str = Field(sa_type=Text)
    name: str | None = Field(default=None, sa_type=Text, index=True)
    schedule: str | None = Field(default=None, sa_type=Text)
    cause: str | None = Field(default=None, sa_type=Text)
    plan_tries: int = Field(default=0, sa_column_kwargs=_ZERO)
    output: str | None = Field(default=None, sa_type=Text)
    kind: str | None = Field(default=None, sa_type=Text)


class ShardRow(Base, table=True):
    """The state of a shard: its lease, its allowance, and what its checkpoints add up to."""

    __tablename__ = "shard"
    __table_args__ = (
        UniqueConstraint("job_id", "ordinal"),
        Index("ix_shard_claim", "job_id", "state", "ordinal"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_Key)
    job_id: str = Field(foreign_key="job.id", sa_type=Text)
    ordinal: int
    first_row: int = Field(sa_type=BigInteger)
    rows: int
    pieces: int
    requests: int
    state: str = Field(sa_type=Text)
    owner: str | None = Field(default=None, sa_type=Text)
    expires_at: float | None = Field(default=None, sa_type=Double)
    fence: int = 0
    seq: int
    sent_fence: int = 0
    sent_through: int = 0
    reserved_picousd: int = Field(default=0, sa_type=BigInteger)
    rows_done: int = 0
    pieces_done: int = 0
    answered: int = 0
    prompt_tokens: int = Field(default=0, sa_type=BigInteger)
    completion_tokens: int = Field(default=0, sa_type=BigInteger)
    cost_picousd: int = Field(default=0, sa_type=BigInteger)
    doubt_requests: int = 0
    doubt_pieces: int = 0
    doubt_tokens: int = Field(default=0, sa_type=BigInteger)
    doubt_picousd: int = Field(default=0, sa_type=BigInteger)
    rows_carried: int = Field(default=0, sa_column_kwargs=_ZERO)
    rows_changed: int = Field(default=0, sa_column_kwargs=_ZERO)
    rows_failed_before: int = Field(default=0, sa_column_kwargs=_ZERO)
    cached_tokens: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    written_tokens: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    reasoning_tokens: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    unstated: int = Field(default=0, sa_column_kwargs=_ZERO)
    stated_picousd: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    kept_requests: int = Field(default=0, sa_column_kwargs=_ZERO)
    kept_pieces: int = Field(default=0, sa_column_kwargs=_ZERO)
    kept_tokens: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)


class PayloadRow(Base, table=True):
    """What planning wrote of a shard's rows; never changed. ``checksum`` is as of a checkpoint.

    Plans of versions before there was :class:`PromptsRow` have all of it in ``outline``.
    """

    __tablename__ = "shard_payload"

    shard_id: int = Field(primary_key=True, foreign_key="shard.id", sa_type=_Key)
    outline: bytes = Field(sa_type=LargeBinary)
    columns: bytes | None = Field(default=None, sa_type=LargeBinary)
    checksum: int | None = Field(default=None, sa_type=BigInteger)


class PromptsRow(Base, table=True):
    """What a shard's requests ask, in a table of its own: only who sends them reads its pages."""

    __tablename__ = "shard_prompts"

    shard_id: int = Field(primary_key=True, foreign_key="shard.id", sa_type=_Key)
    prompts: bytes = Field(sa_type=LargeBinary)
    checksum: int = Field(sa_type=BigInteger)


class HashesRow(Base, table=True):
    """Hashes of a shard's rows, one after the other, for statements that look for a row.

    ``contents`` has 16 bytes a row, ``ids`` 4 (:class:`batcher.ports.EncodedPlan`). ``instr`` finds
    one among a million rows in 17 ms (contents) or 6 ms (ids). Measured on SQLite with a million
    rows in shards of 256: this table costs 0.1 µs a row of planning and 21 bytes a row; a table
    with a row for each costs 1.4 µs and 25 bytes, and finds nothing faster; with an index on the
    hash, 18 µs and 54 bytes, and 22 kB a row are written, since each hash lies on another page. So
    whoever needs an index by hash makes it of these, in order and in one go.
    """

    __tablename__ = "shard_hashes"

    shard_id: int = Field(primary_key=True, foreign_key="shard.id", sa_type=_Key)
    contents: bytes | None = Field(default=None, sa_type=LargeBinary)
    ids: bytes | None = Field(default=None, sa_type=LargeBinary)


class CheckpointRow(Base, table=True):
    """Results, and the small list beside them of what they are; never changed.

    ``event`` stands before ``results`` so that reading events alone skips the pages of the blobs.
    ``checksum`` (:mod:`.checksum`) is None in what was written before there was one.
    """

    __tablename__ = "checkpoint"

    shard_id: int = Field(primary_key=True, foreign_key="shard.id", sa_type=_Key)
    fence: int = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    event: str = Field(sa_type=Text)
    results: bytes = Field(sa_type=LargeBinary)
    bills: bytes | None = Field(default=None, sa_type=LargeBinary)
    checksum: int | None = Field(default=None, sa_type=BigInteger)


class DeadLetterRow(Base, table=True):
    """A dead letter. ``piece`` is its number within the shard, -1 where planning made it."""

    __tablename__ = "dead_letter"

    job_id: str = Field(primary_key=True, foreign_key="job.id", sa_type=Text)
    row_number: int = Field(primary_key=True, sa_type=BigInteger)
    chunk: int = Field(primary_key=True)
    shard_id: int = Field(foreign_key="shard.id", sa_type=_Key, index=True)
    piece: int
    row_id: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    message: str = Field(sa_type=Text)
    attempts: int
    final: bool = False


class WorkerRow(Base, table=True):
    """A worker process that has not left; one whose time has passed is dead."""

    __tablename__ = "worker"

    name: str = Field(primary_key=True, sa_type=Text)
    host: str = Field(sa_type=Text)
    pid: int
    version: str = Field(sa_type=Text)
    started_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: float = Field(sa_type=Double)


class OrderRow(Base, table=True):
    """A job to be opened by a worker; its lease, and what became of it.

    ``job_id`` refers to a job, which may be gone. An order by hand of a schedule has no ``due_at``.
    """

    __tablename__ = "job_order"
    __table_args__ = (
        UniqueConstraint("schedule", "due_at"),
        Index("ix_job_order_state", "state", "asked_at"),
        Index("ix_job_order_job_id", "job_id"),
    )

    id: str = Field(primary_key=True, sa_type=Text)
    blueprint: str = Field(sa_type=Text)
    fresh: bool
    asked_at: datetime = Field(sa_type=UtcDateTime)
    state: str = Field(sa_type=Text)
    schedule: str | None = Field(default=None, sa_type=Text)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    job_id: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    owner: str | None = Field(default=None, sa_type=Text)
    expires_at: float | None = Field(default=None, sa_type=Double)
    fence: int = 0
    forgiven: int = Field(default=0, sa_column_kwargs=_ZERO)


class ScheduleRow(Base, table=True):
    """A schedule; its firings are orders."""

    __tablename__ = "schedule"

    name: str = Field(primary_key=True, sa_type=Text)
    cron: str = Field(sa_type=Text)
    timezone: str = Field(sa_type=Text)
    blueprint: str = Field(sa_type=Text)
    missed: str = Field(sa_type=Text)
    overlap: bool
    paused: bool
    next_due: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class DeliveryRow(Base, table=True):
    """Where a job's results go when it is complete, and how far they are on their way.

    All but ``job_id``, ``target`` and ``fence`` begins anew when the job is opened again.
    """

    __tablename__ = "delivery"
    __table_args__ = (Index("ix_delivery_delivered_at", "delivered_at"),)

    job_id: str = Field(primary_key=True, foreign_key="job.id", sa_type=Text)
    target: str = Field(sa_type=Text)
    attempts: int = 0
    cause: str | None = Field(default=None, sa_type=Text)
    exit_code: int | None = None
    next_at: float | None = Field(default=None, sa_type=Double)
    cursor: int = Field(default=0, sa_type=BigInteger)
    records: int = Field(default=0, sa_type=BigInteger)
    files: str = Field(default="[]", sa_type=Text)
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    owner: str | None = Field(default=None, sa_type=Text)
    expires_at: float | None = Field(default=None, sa_type=Double)
    fence: int = 0
