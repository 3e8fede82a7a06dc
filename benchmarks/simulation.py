"""``python -m benchmarks.simulation [SCALE]``: 200 workers and 100,000,000 rows, in virtual time.

The workers, their leases and their throttle are the real ones; what is sent, and what comes back,
is made up, and vectors are not kept. One bucket of tokens stands behind all of them, as the
provider's, with its headers. Neither the gate nor `scripts/bench` runs it: it takes half an hour.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson

from batcher.adapters.providers.catalog import model_facts
from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.adapters.store.memory.jobs import Entry, Shard
from batcher.adapters.store.memory.store import MemoryStore
from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.adapters.throttle.memory import MemoryThrottle
from batcher.core.job.spec import JobSpec
from batcher.core.model import InputFacts, Job
from batcher.core.row.asked import Asked
from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.sharing import ANYBODY, Flow
from batcher.engine.fleet.worker import FleetWorker
from batcher.engine.fleet.worker_telemetry import WorkerTelemetry
from batcher.engine.opening.binding import bind, new_job
from batcher.engine.routes.online.route import make_online_route
from batcher.engine.services import Connection, Services
from batcher.engine.shards.payload import ShardPlan, encode_plan
from batcher.ports import Checkpoint, Event, Fact, Grant, NewShard, NoDoorbell, Reply, WorkerCard
from batcher.simulator.limits import Bucket
from tests.engine.virtual_time import LoopClock, VirtualLoop

ROWS = 100_000_000
WORKERS = 200
INPUTS = 128
TOKENS_PER_ROW = 16
TOKENS_PER_MINUTE = 10_000_000
SHARD_REQUESTS = 256
LATENCY_SECONDS = (0.3, 1.2)
BUCKET_SECONDS = 60.0
_TEXT = "a short row of text that stands for all of the others"


class Store(MemoryStore):
    """Leases as they are; results are counted, and what is finished is forgotten."""

    def __init__(self, clock: LoopClock) -> None:
        super().__init__(clock)
        self.writes = 0
        self.pieces = 0
        self.finished = 0

    async def claim(self, *args: Any, **more: Any) -> Any:
        leases = await super().claim(*args, **more)
        self.writes += bool(leases)
        return leases

    async def renew(self, *args: Any) -> set[int]:
        self.writes += 1
        return await super().renew(*args)

    async def beat(self, *args: Any) -> None:
        self.writes += 1
        await super().beat(*args)

    async def checkpoint(self, job_id: str, checkpoints: Sequence[Checkpoint]) -> set[int]:
        self.writes += 1
        stale = await super().checkpoint(job_id, [replace(c, results=b"") for c in checkpoints])
        shards = self._entries[job_id].shards
        for checkpoint in checkpoints:
            if checkpoint.shard_id not in stale:
                self.pieces += len(checkpoint.event.done)
                if checkpoint.finished:
                    del shards[checkpoint.shard_id]
                    self.finished += 1
        return stale


class Throttle(MemoryThrottle):
    """One for all; counts what would be operations of Redis."""

    operations = 0

    async def reserve(
        self, quota: str, costs: Sequence[TokenDemand], flow: Flow = ANYBODY
    ) -> Grant:
        self.operations += 1
        return await super().reserve(quota, costs, flow)

    async def settle(self, quota: str, ticket: Ticket, observation: Observation) -> None:
        self.operations += 1
        await super().settle(quota, ticket, observation)

    async def give_back(self, quota: str, tickets: Sequence[Ticket]) -> None:
        self.operations += 1
        await super().give_back(quota, tickets)


@dataclass
class Provider:
    """Answers every request after a while, within a limit of tokens."""

    clock: LoopClock
    chance: Random
    bucket: Bucket
    requests: int = 0
    refused: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    _answer: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        vector = base64.b64encode(bytes(4)).decode()
        data = [{"index": i, "embedding": vector} for i in range(INPUTS)]
        usage = {"prompt_tokens": INPUTS * TOKENS_PER_ROW, "total_tokens": INPUTS * TOKENS_PER_ROW}
        self._answer = orjson.dumps({"data": data, "usage": usage})

    async def post(self, path: str, body: bytes, request_id: str, **more: Any) -> Reply:
        """See :class:`batcher.ports.Provider`."""
        del path, body, request_id, more
        now = self.clock.now()
        cost = float(INPUTS * TOKENS_PER_ROW)
        self.requests += 1
        self.first_at = self.first_at or now
        self.last_at = now
        wait = self.bucket.wait_seconds(cost, now)
        if wait:
            self.refused += 1
        else:
            self.bucket.take(cost, now)
        headers = {
            "x-ratelimit-limit-tokens": str(TOKENS_PER_MINUTE),
            "x-ratelimit-remaining-tokens": str(self.bucket.remaining(now)),
        }
        await asyncio.sleep(self.chance.uniform(*LATENCY_SECONDS))
        if wait:
            return Reply(429, {**headers, "retry-after-ms": str(wait * 1_000)}, b"{}")
        return Reply(200, headers, self._answer)


def fill(store: Store, rows: int) -> Job:
    """A planned job of so many rows, whose shards share one plan."""
    spec = JobSpec(
        kind="embed",
        input="rows.csv",
        model="text-embedding-3-small",
        options={"text": "text"},
        api_key_env="NONE",
        base_url="http://provider.test/v1",
    )
    kind = InstalledKinds().get(spec.kind)
    bound = bind(
        spec,
        kind=kind,
        facts_of=lambda endpoint: model_facts(spec.model, endpoint, ""),
        tokenizer=open_tokenizer(spec.model, None),
        files={},
    )
    facts = InputFacts(rows=rows, sha256="", size_bytes=0, columns=("text",))
    job = new_job(bound, facts, now=datetime.now(UTC), noise=1, version="0")
    entry = store._entries[job.id] = Entry(job=replace(job, planned=True, plan_row=rows))
    pieces = INPUTS * SHARD_REQUESTS
    plan = ShardPlan(
        first_row=0,
        rows=pieces,
        ids=None,
        piece_rows=range(pieces),
        tokens=[TOKENS_PER_ROW] * pieces,
        starts=range(0, pieces, INPUTS),
        chunks=None,
    )
    plan = replace(plan, piece_rows=list(plan.piece_rows), starts=list(plan.starts))
    encoded = encode_plan(plan, Asked([(_TEXT,)] * pieces))
    for ordinal in range(rows // pieces):
        shard = NewShard(
            ordinal=ordinal,
            first_row=ordinal * pieces,
            rows=pieces,
            pieces=pieces,
            requests=SHARD_REQUESTS,
            plan=encoded,
            columns=None,
        )
        entry.shards[ordinal + 1] = Shard.of(shard, ordinal + 1)
    return job


async def simulate(rows: int) -> None:
    """Run it, and print what came of it."""
    clock = LoopClock()
    chance = Random(1)
    store = Store(clock)
    throttle = Throttle(clock)
    provider = Provider(clock, chance, Bucket(TOKENS_PER_MINUTE, BUCKET_SECONDS, clock.now()))
    job = fill(store, rows)
    tokenizer = open_tokenizer("text-embedding-3-small", None)

    @asynccontextmanager
    async def connect(spec: JobSpec) -> AsyncIterator[Connection]:
        del spec
        yield Connection(
            provider=provider,
            throttle=throttle,
            quota="quota",
            secrets=(),
            make_route=make_online_route,
        )

    failures: list[str] = []

    def log(event: Event, /, **facts: Fact) -> None:
        if event in (Event.JOB_FAILED, Event.JOB_REFUSED):
            failures.append(f"{event} {facts}")

    # Nothing is planned, opened or exported.
    unused: Any = dict.fromkeys(
        ("files", "open_source", "open_attachments", "due_times", "open_index")
    )
    adapters = Services(
        store=store,
        clock=clock,
        chance=chance,
        kinds=InstalledKinds(),
        **unused,
        open_tokenizer=lambda model, name: tokenizer,
        model_facts=model_facts,
        check_connection=lambda spec: None,
        connect=connect,
        lock=lambda job_id: nullcontext(),
        doorbell=NoDoorbell(),
        version="0",
    )
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        workers = []
        for number in range(WORKERS):
            card = WorkerCard(
                name=f"w{number}", host="h", pid=number, version="0", started_at=datetime.now(UTC)
            )
            worker = FleetWorker(adapters, card, WorkerTelemetry(log, clock), look_seconds=20.0)
            workers.append(worker)
            tasks.create_task(worker.run())
        while (await store.job(job.id)).state == "open" and not failures:
            await clock.sleep(10)
        for worker in workers:
            worker.stop()
    if failures:
        raise RuntimeError(failures[0])
    took = provider.last_at - provider.first_at
    served = provider.requests - provider.refused
    charged = served * INPUTS * TOKENS_PER_ROW
    least = 60 * (charged / TOKENS_PER_MINUTE) - BUCKET_SECONDS
    millions = store.pieces / 1e6
    print(f"rows                     {store.pieces:,} of {rows:,}, {WORKERS} workers")
    print(f"virtual time             {took:,.0f} s; real {time.perf_counter() - began:,.0f} s")
    print(f"limit in use             {least / took:.4f}")
    print(f"answered 429             {100 * provider.refused / provider.requests:.3f} %")
    print(f"database writes          {store.writes / millions:,.0f} per million rows")
    print(f"throttle operations      {throttle.operations / millions:,.0f} per million rows")


def main() -> None:
    """At full scale, or at that of the argument."""
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    pieces = INPUTS * SHARD_REQUESTS
    rows = max(1, round(ROWS * scale / pieces)) * pieces
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(simulate(rows))


if __name__ == "__main__":
    main()
