"""A job in a store of its own, for tests of what a run decides about it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from batcher.adapters.store.memory.store import MemoryStore
from batcher.core.job.spec import JobSpec
from batcher.core.kind import Shape
from batcher.core.model import Learned
from batcher.engine.job.endings import Ending
from batcher.engine.requests.builder import Learning
from batcher.engine.settling.vector_length import VectorLength
from tests.engine.settling.failing.parts import Failing
from tests.store.making import TTL, claim_one, make_checkpoint, open_planned

JOB = "j1"


class Running:
    """A planned job of one shard of four rows, and the parts that act on failures.

    ``endings`` are the reasons for which the run was ended. ``work`` is what a run is given, as far
    as it is asked for here.
    """

    def __init__(self, *, linger_seconds: float | None = None, had_success: bool = False) -> None:
        self.failing = Failing(had_success=had_success)
        self.clock = self.failing.clock
        self.store = MemoryStore(self.clock)
        self.endings: list[Ending] = self.failing.endings
        self.end = self.failing.end
        self.learning = Learning(Learned())
        given: Any = SimpleNamespace
        self.work: Any = given(
            job=given(id=JOB, planned=True),
            owner="us",
            services=given(store=self.store, clock=self.clock, lease_seconds=TTL),
            shared=linger_seconds is not None,
            linger_seconds=linger_seconds,
            live=self.failing.live,
            bound=given(
                spec=JobSpec(
                    kind="embed", model="m", input="in.csv", outage_timeout=900.0, simulate=True
                )
            ),
        )
        self.work.live.rows = 4
        self.vectors = VectorLength(
            shape=Shape.JSON,
            learning=self.learning,
            checkpoint_writer=self.failing.writer,
            learn=lambda learned: self.store.learn(JOB, learned),
            ask_again=lambda call: None,
        )

    async def open(self) -> None:
        await open_planned(self.store)

    async def finish(self, *, rows: int = 4) -> None:
        """So many rows get their results, by another owner."""
        lease = await claim_one(self.store, "other")
        await self.store.checkpoint(
            JOB, [make_checkpoint(lease, done=range(rows), finished=rows == 4, released=rows != 4)]
        )
