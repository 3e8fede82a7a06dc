"""Any sequence of claims, checkpoints, deaths and retries: one result a piece, in every store.

Workers here do what no worker should: they go on after their lease is lost, send a checkpoint
twice, and forget what they sent. All stores are asked the same and must answer the same; a model
that knows only fences says what the answer must be.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batcher.adapters.store import open_store
from batcher.core.progress import replay
from batcher.ports import BudgetShort, Checkpoint, Lease, Store
from tests.fakes import FakeClock
from tests.store.clocked import ClockedPostgres
from tests.store.making import TTL, make_checkpoint, make_dead, make_job, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tests.servers.postgres import PostgresServer

T = TypeVar("T")
SHARDS = 3
PIECES = 4
BUDGET = 60


@dataclass
class Worker:
    """What a worker believes: its lease, and which pieces it has still to do."""

    lease: Lease
    missing: list[int]
    seq: int = 0
    sent: list[Checkpoint] = field(default_factory=list)


class Stores(RuleBasedStateMachine):
    """One store of each kind, and the fences that each shard has been granted."""

    postgres: ClassVar[ClockedPostgres]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name) / "batcher.db"
        self.memory = self.runner.run(open_store("memory://", self.clock))
        sqlite = self.runner.run(open_store(str(path), self.clock))
        postgres = self.runner.run(open_store(self.postgres.begin(self.clock), self.clock))
        self.stores = (self.memory, sqlite, postgres)
        self.workers: list[Worker] = []
        self.fences: dict[int, int] = {}
        self.written: set[tuple[int, int, int]] = set()

    def teardown(self) -> None:
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()
        self.directory.cleanup()

    def all(self, verb: Callable[[Store], Coroutine[Any, Any, T]]) -> T | int:
        """What all stores answer; the money left where they say that it is short."""
        answers: list[T | int] = []
        for store in self.stores:
            try:
                answers.append(self.runner.run(verb(store)))
            except BudgetShort as short:
                answers.append(short.available_picousd)
        assert answers[1:] == answers[:1] * (len(answers) - 1)
        return answers[0]

    @initialize()
    def plan(self) -> None:
        self.all(lambda store: store.open_job(make_job(budget=BUDGET), fresh=False))
        self.all(lambda store: plan(store, shards=SHARDS, rows=PIECES))

    @rule(owner=st.sampled_from("ab"), limit=st.integers(1, SHARDS))
    def claim(self, owner: str, limit: int) -> None:
        leases = self.all(lambda s: s.claim("j1", owner, limit=limit, ttl_seconds=TTL))
        assert isinstance(leases, list)
        for lease in leases:
            assert lease.fence > self.fences.get(lease.shard_id, 0)
            self.fences[lease.shard_id] = lease.fence
            progress = replay(lease.events)
            settled = progress.done | progress.dead
            missing = [piece for piece in range(PIECES) if piece not in settled]
            self.workers.append(Worker(lease, missing))

    @precondition(lambda self: self.workers)
    @rule(
        data=st.data(),
        dies=st.booleans(),
        money=st.tuples(*[st.integers(0, 25)] * 3),
        released=st.booleans(),
    )
    def checkpoint(
        self, data: st.DataObject, dies: bool, money: tuple[int, int, int], released: bool
    ) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        pieces = worker.missing[: data.draw(st.integers(0, PIECES))]
        left = worker.missing[len(pieces) :]
        ordinal = worker.lease.ordinal
        dead = {piece: make_dead(ordinal * PIECES + piece) for piece in pieces[:1] if dies}
        cost, doubt, reserved = money
        checkpoint = make_checkpoint(
            worker.lease,
            worker.seq,
            done=[piece for piece in pieces if piece not in dead],
            dead=dead,
            cost=cost,
            doubt=doubt,
            reserved=reserved,
            sent=worker.seq // 2,
            finished=not left,
            released=released,
        )
        answer = self.all(lambda store: store.checkpoint("j1", [checkpoint]))
        if isinstance(answer, int):
            return  # no money: nothing is written, and the worker knows
        self.judge(checkpoint, answer)
        worker.missing = left
        worker.seq += 1
        worker.sent.append(checkpoint)
        if not left or released:
            self.workers.remove(worker)

    @precondition(lambda self: any(worker.sent for worker in self.workers))
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([worker for worker in self.workers if worker.sent]))
        checkpoint = data.draw(st.sampled_from(worker.sent))
        before = self.runner.run(self.memory.tally("j1"))
        answer = self.all(lambda store: store.checkpoint("j1", [checkpoint]))
        assert isinstance(answer, set)
        self.judge(checkpoint, answer)
        assert self.runner.run(self.memory.tally("j1")) == before

    def judge(self, checkpoint: Checkpoint, stale: set[int]) -> None:
        """A checkpoint is refused exactly where its fence is not the shard's last."""
        valid = self.fences[checkpoint.shard_id] == checkpoint.fence
        assert stale == (set() if valid else {checkpoint.shard_id})
        if valid:
            self.written.add((checkpoint.shard_id, checkpoint.fence, checkpoint.seq))

    @rule(seconds=st.sampled_from([TTL / 2, TTL]))
    def pass_time(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + seconds)

    @rule(owner=st.sampled_from("ab"))
    def renew(self, owner: str) -> None:
        ids = list(self.fences)
        self.all(lambda store: store.renew(owner, ids, TTL))

    @rule(owner=st.sampled_from("ab"))
    def reclaim(self, owner: str) -> None:
        self.all(lambda store: store.reclaim("j1", except_owner=owner))

    @rule()
    def retry(self) -> None:
        letters = self.runner.run(self.letters(self.memory))
        for shard_id in {row // PIECES + 1 for row, _ in letters}:
            self.fences[shard_id] += 1
        assert self.all(lambda store: store.reopen_dead("j1")) == len(letters)

    @rule(budget=st.integers(0, 4 * BUDGET))
    def set_budget(self, budget: int) -> None:
        self.all(lambda store: store.set_budget("j1", budget))

    @invariant()
    def the_stores_agree(self) -> None:
        self.all(lambda store: store.tally("j1"))
        self.all(lambda store: store.job("j1"))
        self.all(self.letters)

    @invariant()
    def a_piece_has_one_result_or_one_letter_or_neither(self) -> None:
        shards = self.all(self.results)
        assert isinstance(shards, list)
        tally = self.runner.run(self.memory.tally("j1"))
        counted = 0
        for ordinal, results, dead_rows in shards:
            done = [piece for pieces, _ in results for piece in pieces]
            assert len(done) == len(set(done))
            assert not {ordinal * PIECES + piece for piece in done} & dead_rows
            counted += len(done)
        assert tally.pieces_done == counted

    @staticmethod
    async def letters(store: Store) -> list[tuple[int, int]]:
        return [(letter.row, letter.chunk) async for letter in store.dead_letters("j1")]

    @staticmethod
    async def results(store: Store) -> list[tuple[int, Any, frozenset[int]]]:
        return [(s.ordinal, s.results, s.dead_rows) async for s in store.shards("j1")]


@pytest.fixture(scope="module", autouse=True)
def clocked(postgres: PostgresServer) -> Iterator[None]:
    Stores.postgres = ClockedPostgres(postgres)
    yield
    Stores.postgres.close()


TestAgreement = Stores.TestCase
TestAgreement.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
