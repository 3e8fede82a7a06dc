"""How much is planned in one go: never more than is soon sent, and nothing good is thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.core.errors import KindFailed
from batcher.core.kind import TextFile
from batcher.core.limits import request_limits
from batcher.core.model import BadRow, InputRow
from batcher.engine.planning.planner import Cursor, Planner, RowRules, make_planner
from batcher.engine.planning.shard_in_making import ShardForm
from batcher.engine.shards.payload import Keep
from jobs.chat import KIND

ROWS, BYTES = 1_024, 256_000


class Texts:
    """An input of texts, read a few rows at a time; as much of one as a planner asks for."""

    def __init__(self, texts: Sequence[str], *, fails_at: int | None = None) -> None:
        self._texts = texts
        self._fails_at = fails_at

    def rows(self, start: int = 0) -> Iterator[list[InputRow | BadRow]]:
        for number in range(start, len(self._texts), 64):
            if self._fails_at is not None and number >= self._fails_at:
                raise KindFailed("chat", "cannot go on")
            batch = self._texts[number : number + 64]
            yield [
                InputRow(number=number + index, id=number + index, record={"text": text})
                for index, text in enumerate(batch)
            ]

    def sha256(self) -> str:
        return "the hash"


def planner_of(
    texts: Sequence[str],
    *,
    fails_at: int | None = None,
    next_row: int = 0,
    next_shard: int = 0,
) -> Planner:
    source: Any = Texts(texts, fails_at=fails_at)
    bound: Any = KIND.bind({"prompt": TextFile("prompt.txt", "{{ text }}")})
    rules = RowRules(
        bound=bound,
        kind="chat",
        tokenizer=open_tokenizer("gpt-4o-mini"),
        limits=request_limits(bound),
        recipe="00" * 32,
    )
    return make_planner(
        source,
        rules,
        ShardForm(row_ids=True, keep=Keep.PLAIN, split=False),
        cursor=Cursor(next_row, next_shard),
        rows=len(texts),
    )


def rows_at_once(
    planner: Planner, rows: int = ROWS, size_bytes: int = BYTES
) -> Iterator[list[int]]:
    """The rows of each shard, go by go, until all are planned."""
    while shards := planner.next_shards(rows, size_bytes):
        yield [shard.rows for shard in shards]


def test_the_first_shard_comes_alone() -> None:
    assert next(rows_at_once(planner_of(["short"] * 2_000), 1, 1)) == [256]


def test_shards_of_short_rows_come_a_few_at_a_time() -> None:
    planned = list(rows_at_once(planner_of([f"short {number}" for number in range(2_600)])))
    assert planned == [[256] * 4, [256] * 4, [256, 256, 40]]


def test_shards_of_long_rows_come_alone() -> None:
    texts = ["".join(f"{number * 7919 + word} " for word in range(9_000)) for number in range(90)]
    planned = list(rows_at_once(planner_of(texts)))
    assert len(planned) > 1
    assert all(len(shards) == 1 for shards in planned)
    assert sum(map(sum, planned)) == len(texts)


def test_what_was_planned_before_a_failure_is_not_lost_by_it() -> None:
    planner = planner_of(["short"] * 2_000, fails_at=640)
    assert next(rows_at_once(planner)) == [256, 256]
    for _ in range(2):
        with pytest.raises(KindFailed, match="cannot go on"):
            planner.next_shards(ROWS, BYTES)
    assert planner.next_row == 512
