"""The tables, for statements of SQLAlchemy Core. Made by scripts/make-tables; do not edit."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from batcher.adapters.store.sql.columns import CONSTRAINT_NAMES, UtcDateTime, key_type

METADATA = MetaData(naming_convention=CONSTRAINT_NAMES)

JOB = Table(
    "job",
    METADATA,
    Column("id", Text(), primary_key=True),
    Column("fingerprint", Text(), nullable=False),
    Column("generation", Integer(), nullable=False),
    Column("spec", Text(), nullable=False),
    Column("facts", Text(), nullable=False),
    Column("state", Text(), nullable=False),
    Column("reason", Text()),
    Column("resume_at", UtcDateTime),
    Column("planned", Boolean(), nullable=False, default=False),
    Column("plan_row", BigInteger(), nullable=False, default=0),
    Column("plan_shard", Integer(), nullable=False, default=0),
    Column("plan_fence", Integer(), nullable=False, default=0),
    Column("plan_owner", Text()),
    Column("plan_expires_at", Double()),
    Column("budget_picousd", BigInteger()),
    Column("committed_picousd", BigInteger(), nullable=False, default=0),
    Column("learned", Text(), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("version", Text(), nullable=False),
    Column("name", Text(), index=True),
    Column("schedule", Text()),
    Column("cause", Text()),
    Column("plan_tries", Integer(), nullable=False, default=0, server_default=text("0")),
    Column("output", Text()),
    Column("kind", Text()),
    UniqueConstraint("fingerprint", "generation"),
    Index("ix_job_created_at", "created_at", "id"),
)

SHARD = Table(
    "shard",
    METADATA,
    Column("id", key_type(), primary_key=True),
    Column("job_id", Text(), ForeignKey("job.id"), nullable=False),
    Column("ordinal", Integer(), nullable=False),
    Column("first_row", BigInteger(), nullable=False),
    Column("rows", Integer(), nullable=False),
    Column("pieces", Integer(), nullable=False),
    Column("requests", Integer(), nullable=False),
    Column("state", Text(), nullable=False),
    Column("owner", Text()),
    Column("expires_at", Double()),
    Column("fence", Integer(), nullable=False, default=0),
    Column("seq", Integer(), nullable=False),
    Column("sent_fence", Integer(), nullable=False, default=0),
    Column("sent_through", Integer(), nullable=False, default=0),
    Column("reserved_picousd", BigInteger(), nullable=False, default=0),
    Column("rows_done", Integer(), nullable=False, default=0),
    Column("pieces_done", Integer(), nullable=False, default=0),
    Column("answered", Integer(), nullable=False, default=0),
    Column("prompt_tokens", BigInteger(), nullable=False, default=0),
    Column("completion_tokens", BigInteger(), nullable=False, default=0),
    Column("cost_picousd", BigInteger(), nullable=False, default=0),
    Column("doubt_requests", Integer(), nullable=False, default=0),
    Column("doubt_pieces", Integer(), nullable=False, default=0),
    Column("doubt_tokens", BigInteger(), nullable=False, default=0),
    Column("doubt_picousd", BigInteger(), nullable=False, default=0),
    Column("rows_carried", Integer(), nullable=False, default=0, server_default=text("0")),
    Column("rows_changed", Integer(), nullable=False, default=0, server_default=text("0")),
    Column("rows_failed_before", Integer(), nullable=False, default=0, server_default=text("0")),
    Column("cached_tokens", BigInteger(), nullable=False, default=0, server_default=text("0")),
    Column("written_tokens", BigInteger(), nullable=False, default=0, server_default=text("0")),
    Column("reasoning_tokens", BigInteger(), nullable=False, default=0, server_default=text("0")),
    Column("unstated", Integer(), nullable=False, default=0, server_default=text("0")),
    Column("stated_picousd", BigInteger(), nullable=False, default=0, server_default=text("0")),
    Column("kept_requests", Integer(), nullable=False, default=0, server_default=text("0")),
    Column("kept_pieces", Integer(), nullable=False, default=0, server_default=text("0")),
    Column("kept_tokens", BigInteger(), nullable=False, default=0, server_default=text("0")),
    UniqueConstraint("job_id", "ordinal"),
    Index("ix_shard_claim", "job_id", "state", "ordinal"),
)

PAYLOAD = Table(
    "shard_payload",
    METADATA,
    Column("shard_id", key_type(), ForeignKey("shard.id"), primary_key=True),
    Column("outline", LargeBinary(), nullable=False),
    Column("columns", LargeBinary()),
    Column("checksum", BigInteger()),
)

PROMPTS = Table(
    "shard_prompts",
    METADATA,
    Column("shard_id", key_type(), ForeignKey("shard.id"), primary_key=True),
    Column("prompts", LargeBinary(), nullable=False),
    Column("checksum", BigInteger(), nullable=False),
)

HASHES = Table(
    "shard_hashes",
    METADATA,
    Column("shard_id", key_type(), ForeignKey("shard.id"), primary_key=True),
    Column("contents", LargeBinary()),
    Column("ids", LargeBinary()),
)

CHECKPOINT = Table(
    "checkpoint",
    METADATA,
    Column("shard_id", key_type(), ForeignKey("shard.id"), primary_key=True),
    Column("fence", Integer(), primary_key=True),
    Column("seq", Integer(), primary_key=True),
    Column("event", Text(), nullable=False),
    Column("results", LargeBinary(), nullable=False),
    Column("bills", LargeBinary()),
    Column("checksum", BigInteger()),
)

DEAD_LETTER = Table(
    "dead_letter",
    METADATA,
    Column("job_id", Text(), ForeignKey("job.id"), primary_key=True),
    Column("row_number", BigInteger(), primary_key=True),
    Column("chunk", Integer(), primary_key=True),
    Column("shard_id", key_type(), ForeignKey("shard.id"), nullable=False, index=True),
    Column("piece", Integer(), nullable=False),
    Column("row_id", Text(), nullable=False),
    Column("code", Text(), nullable=False),
    Column("message", Text(), nullable=False),
    Column("attempts", Integer(), nullable=False),
    Column("final", Boolean(), nullable=False, default=False),
)

WORKER = Table(
    "worker",
    METADATA,
    Column("name", Text(), primary_key=True),
    Column("host", Text(), nullable=False),
    Column("pid", Integer(), nullable=False),
    Column("version", Text(), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", Double(), nullable=False),
)

ORDER = Table(
    "job_order",
    METADATA,
    Column("id", Text(), primary_key=True),
    Column("blueprint", Text(), nullable=False),
    Column("fresh", Boolean(), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("state", Text(), nullable=False),
    Column("schedule", Text()),
    Column("due_at", UtcDateTime),
    Column("job_id", Text()),
    Column("error", Text()),
    Column("owner", Text()),
    Column("expires_at", Double()),
    Column("fence", Integer(), nullable=False, default=0),
    Column("forgiven", Integer(), nullable=False, default=0, server_default=text("0")),
    UniqueConstraint("schedule", "due_at"),
    Index("ix_job_order_job_id", "job_id"),
    Index("ix_job_order_state", "state", "asked_at"),
)

SCHEDULE = Table(
    "schedule",
    METADATA,
    Column("name", Text(), primary_key=True),
    Column("cron", Text(), nullable=False),
    Column("timezone", Text(), nullable=False),
    Column("blueprint", Text(), nullable=False),
    Column("missed", Text(), nullable=False),
    Column("overlap", Boolean(), nullable=False),
    Column("paused", Boolean(), nullable=False),
    Column("next_due", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
)

DELIVERY = Table(
    "delivery",
    METADATA,
    Column("job_id", Text(), ForeignKey("job.id"), primary_key=True),
    Column("target", Text(), nullable=False),
    Column("attempts", Integer(), nullable=False, default=0),
    Column("cause", Text()),
    Column("exit_code", Integer()),
    Column("next_at", Double()),
    Column("cursor", BigInteger(), nullable=False, default=0),
    Column("records", BigInteger(), nullable=False, default=0),
    Column("files", Text(), nullable=False, default="[]"),
    Column("delivered_at", UtcDateTime),
    Column("owner", Text()),
    Column("expires_at", Double()),
    Column("fence", Integer(), nullable=False, default=0),
    Index("ix_delivery_delivered_at", "delivered_at"),
)
