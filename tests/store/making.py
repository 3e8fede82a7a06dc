"""Jobs, shards and checkpoints with little in them, for tests of stores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batcher.core.job.description import Description
from batcher.core.job.description_parts import InputPart, ProviderPart, WorkPart
from batcher.core.job.fingerprint import CONTENT_BYTES, id_hashes
from batcher.core.job.spec import JobSpec
from batcher.core.kind import Endpoint, Field, Overlong, Shape
from batcher.core.model import DeadLetter, Doubt, InputFacts, Job, JobState, Usage
from batcher.core.progress import ShardEvent
from batcher.ports import Checkpoint, EncodedPlan, Lease, NewShard, Store, StoredShard
from tests.fakes import EPOCH_WALL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START = 1_000.0
TTL = 30.0


def make_description(**settings: Any) -> Description:
    """Of an embedding job; ``settings`` are a spec's."""
    spec = JobSpec(**{"kind": "embed", "input": "in.csv", "model": "m", **settings})
    return Description(
        work=WorkPart.of(spec),
        input=InputPart.of(spec),
        provider=ProviderPart.of(spec),
        shape=Shape.VECTOR,
        fields=(Field(name="embedding", type="vector"),),
        overlong=Overlong.ERROR,
        kind_version=1,
        endpoint=Endpoint.EMBEDDINGS,
    )


def make_job(job_id: str = "j1", *, fingerprint: str = "f", budget: int | None = None) -> Job:
    return Job(
        id=job_id,
        fingerprint=fingerprint,
        generation=0,
        description=make_description(options={"text": "title"}),
        facts=InputFacts(
            rows=8,
            sha256="ab" * 32,
            size_bytes=99,
            columns=("id", "title"),
        ),
        state=JobState.OPEN,
        budget_picousd=budget,
        created_at=datetime.fromtimestamp(EPOCH_WALL, tz=UTC),
        version="0.1.0",
    )


def make_shard(ordinal: int = 0, *, rows: int = 4, dead: Sequence[DeadLetter] = ()) -> NewShard:
    return NewShard(
        ordinal=ordinal,
        first_row=ordinal * rows,
        rows=rows,
        pieces=rows,
        requests=2,
        plan=EncodedPlan(
            outline=b"outline %d" % ordinal,
            prompts=b"prompts %d" % ordinal,
            contents=bytes([ordinal + 1]) * CONTENT_BYTES * rows,
            ids=id_hashes([f"id-{ordinal * rows + row}" for row in range(rows)]),
        ),
        columns=b"columns %d" % ordinal if ordinal % 2 else None,
        dead=dead,
    )


def make_dead(
    row: int, *, chunk: int = 0, code: str = "refused", final: bool = False
) -> DeadLetter:
    return DeadLetter(
        row=row, chunk=chunk, id=f"id-{row}", code=code, message="No.", attempts=2, final=final
    )


def make_checkpoint(
    lease: Lease,
    seq: int = 1,
    *,
    done: Sequence[int] = (),
    dead: Mapping[int, DeadLetter] | None = None,
    event: ShardEvent | None = None,
    cost: int = 0,
    doubt: int = 0,
    reserved: int = 0,
    sent: int = 1,
    finished: bool = False,
    released: bool = False,
) -> Checkpoint:
    """A checkpoint under the lease's fence; its blob says what is in it."""
    dead = dead or {}
    made = ShardEvent(fence=lease.fence, done=tuple(done), dead=tuple(dead))
    return Checkpoint(
        shard_id=lease.shard_id,
        fence=lease.fence,
        seq=seq,
        event=event or made,
        results=b",".join(b"%d" % piece for piece in done),
        dead=tuple(dead.values()),
        usage=Usage(
            requests=len(done), prompt_tokens=2 * len(done), completion_tokens=1, cost_picousd=cost
        ),
        doubt=Doubt(requests=1, pieces=2, tokens=3, cost_picousd=doubt) if doubt else Doubt(),
        rows_done=len(done),
        sent_through=sent,
        reserved_picousd=reserved,
        finished=finished,
        released=released,
    )


async def plan(store: Store, job_id: str = "j1", *, shards: int = 1, rows: int = 4) -> None:
    """Plan so many shards of so many rows, a piece each."""
    fence = await store.lease_plan(job_id, "planner", TTL)
    assert fence is not None
    for ordinal in range(shards):
        assert await store.add_shard(
            job_id,
            fence,
            make_shard(ordinal, rows=rows),
            next_row=(ordinal + 1) * rows,
            planned=ordinal == shards - 1,
        )


async def open_planned(
    store: Store,
    *,
    shards: int = 1,
    rows: int = 4,
    budget: int | None = None,
    job_id: str = "j1",
    fingerprint: str = "f",
) -> None:
    """Open a job and plan it."""
    await store.open_job(make_job(job_id, fingerprint=fingerprint, budget=budget), fresh=False)
    await plan(store, job_id, shards=shards, rows=rows)


async def claim_one(store: Store, owner: str = "a", job_id: str = "j1") -> Lease:
    (lease,) = await store.claim(job_id, owner, limit=1, ttl_seconds=TTL)
    return lease


WORKER = """
import asyncio, sys
from batcher.adapters.system.clock import SystemClock
from batcher.adapters.store import open_store
from tests.store.making import make_checkpoint, make_job

async def main(url, owner):
    store = await open_store(url, SystemClock())
    job, made = await store.open_job(make_job(owner), fresh=False)
    print("made" if made else "found", job.id)
    sys.stdout.flush()
    sys.stdin.readline()
    while leases := await store.claim(job.id, owner, limit=2, ttl_seconds=60):
        for lease in leases:
            for piece in range(4):
                last = piece == 3
                checkpoint = make_checkpoint(lease, piece, done=[piece], cost=1, finished=last)
                assert not await store.checkpoint(job.id, [checkpoint])
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""
"""A process that claims and finishes what it can; its arguments: the database and its name."""


async def stored(store: Store) -> list[StoredShard]:
    """All shards of the job that tests make."""
    return [shard async for shard in store.shards("j1")]
