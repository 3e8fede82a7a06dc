"""A strategy of reuse that is not ``--since-last``: by content alone, whichever job asked first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from batcher.core.kind import Shape
from batcher.engine.runner import Runner
from batcher.engine.shards.payload import decode_plan
from batcher.engine.shards.results import split_results
from batcher.ports import AskedRow, CallNeeded, Reused, Store
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, words


@dataclass
class Remembered:
    """Results by the contents of rows of one piece, from any job."""

    results_of: dict[bytes, bytes] = field(default_factory=dict)
    tokens: dict[bytes, int] = field(default_factory=dict)
    asked: list[AskedRow] = field(default_factory=list)
    keeps_answers: bool = False

    async def learn(self, store: Store, job_id: str, shape: Shape) -> None:
        contents = [outline.contents async for outline in store.outlines(job_id)]
        async for shard in store.shards(job_id):
            plan = decode_plan(shard.outline, contents[shard.ordinal])
            for done, blob in shard.results:
                for piece, value in zip(done, split_results(shape, len(done), blob), strict=True):
                    content = plan.content_of(piece)
                    assert content is not None
                    self.results_of[content] = value
                    self.tokens[content] = plan.tokens[piece]

    @asynccontextmanager
    async def opened(
        self, tick: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[Remembered]:
        yield self

    def decide(self, rows: Sequence[AskedRow]) -> list[Reused | CallNeeded]:
        self.asked += rows
        return [
            CallNeeded.NEW
            if row.content not in self.results_of
            else Reused(row.content, (self.tokens[row.content],))
            for row in rows
        ]

    async def results(self, places: Sequence[Hashable]) -> list[bytes]:
        return [self.results_of[place] for place in places if isinstance(place, bytes)]

    def portable(self) -> None:
        return None


def store_of(work: Work) -> Store:
    return work.runner._services.store


def asking(work: Work, known: Remembered) -> Work:
    """The same, with jobs that ask the strategy."""
    services = replace(work.runner._services, strategies=(known,))
    return Work(work.simulator, Runner(services), work.directory)


@pytest.mark.parametrize(("kind", "shape"), [("embed", Shape.VECTOR), ("classify", Shape.JSON)])
@in_virtual_time
async def test_rows_that_a_strategy_knows_need_no_call(here: Path, kind: str, shape: Shape) -> None:
    known = Remembered()
    texts = list(words(30))
    mixed = [texts[20], "a new text", *texts[:10], "", texts[3], "another new one"]
    async with open_work(here) as work:
        make = getattr(work, kind)
        first = await work.run(make(work.write(texts, "in1.jsonl")), output="first.jsonl")
        await known.learn(store_of(work), first.report.job, shape)
        in_full = await work.run(make(work.write(mixed)), output="full.jsonl")
        served = work.stats.inputs_served if kind == "embed" else work.stats.requests
        reused = await asking(work, known).runner.run(
            make(work.write(mixed)), output=str(work.path("out.jsonl")), fresh=True
        )
        now = work.stats.inputs_served if kind == "embed" else work.stats.requests
    assert now - served == 2
    assert (reused.rows_done, reused.rows_failed) == (14, 1)
    assert work.path("out.jsonl").read_bytes() == work.path("full.jsonl").read_bytes()
    assert in_full.report.rows_failed == 1


@in_virtual_time
async def test_a_strategy_is_asked_of_every_row_once_and_before_tokens_are_counted(
    here: Path,
) -> None:
    known = Remembered()
    async with open_work(here) as work:
        await asking(work, known).run(work.embed([*words(5), ""]))
    assert [row.id for row in known.asked] == [f"r{number}" for number in range(6)]
    assert [row.sendable for row in known.asked] == [True] * 5 + [False]
    assert len({row.content for row in known.asked}) == 6


@in_virtual_time
async def test_a_result_whose_row_is_too_long_by_now_is_not_reused(here: Path) -> None:
    known = Remembered()
    async with open_work(here) as work:
        first = await work.run(work.embed(list(words(4))))
        await known.learn(store_of(work), first.report.job, Shape.VECTOR)
        spec = work.embed(list(words(4)), max_input_tokens=3, overlong="truncate")
        known.tokens = dict.fromkeys(known.tokens, 9)
        again = await asking(work, known).run(spec, fresh=True, overwrite=True)
    assert again.report.rows_done == 4
    assert work.stats.inputs_served == 8
