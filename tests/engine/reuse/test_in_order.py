"""Several strategies are one: the first that has a result gives it, whoever plans."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from batcher.engine.reuse.strategies import in_order
from batcher.ports import AskedRow, CallNeeded, Reuse, Reused

Answers = Mapping[int, CallNeeded | bytes]
"""What a strategy says of rows, by their ids: a result, or what the row was to it."""


@dataclass(frozen=True)
class Elsewhere:
    """The same answers in another process."""

    answers: Answers

    @contextmanager
    def opened(self) -> Iterator[Known]:
        yield Known(self.answers)


@dataclass(frozen=True)
class Known:
    """A strategy whose answers are given; also itself, opened."""

    answers: Answers
    moves: bool = True
    keeps_answers: bool = False
    is_gone: bool = False
    asked: list[object] = field(default_factory=list)

    @asynccontextmanager
    async def opened(
        self, tick: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[Known | None]:
        yield None if self.is_gone else self

    def decide(self, rows: Sequence[AskedRow]) -> list[Reused | CallNeeded]:
        self.asked.extend(row.id for row in rows)
        said = [self.answers.get(int(row.id or 0), CallNeeded.NEW) for row in rows]
        return [
            one if isinstance(one, CallNeeded) else Reused((row.id, "here"), (len(one),))
            for row, one in zip(rows, said, strict=True)
        ]

    async def results(self, places: Sequence[Hashable]) -> list[bytes]:
        found = [self.answers[place[0]] for place in places if isinstance(place, tuple)]
        return [one for one in found if isinstance(one, bytes)]

    def portable(self) -> Elsewhere | None:
        return Elsewhere(self.answers) if self.moves else None


ROWS = [AskedRow(number, b"%d" % number, sendable=True) for number in range(6)]
ANSWERS = st.dictionaries(
    st.integers(0, 5), st.sampled_from(CallNeeded) | st.binary(min_size=1, max_size=3), max_size=6
)


def expected(strategies: Sequence[Answers], row: int) -> CallNeeded | bytes:
    """The first result there is; without one, the first that is said but that the row is new."""
    said = [answers.get(row, CallNeeded.NEW) for answers in strategies]
    results = [one for one in said if isinstance(one, bytes)]
    known = [one for one in said if one is not CallNeeded.NEW]
    return next(iter(results or known), CallNeeded.NEW)


async def asked(reuse: Reuse, decided: Sequence[Reused | CallNeeded]) -> list[CallNeeded | bytes]:
    """What was decided, with the results in place of where they are."""
    places = [one.place for one in decided if isinstance(one, Reused)]
    results = iter(await reuse.results(places))
    return [next(results) if isinstance(one, Reused) else one for one in decided]


@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_the_first_result_counts_here_and_in_another_process(strategies: list[Answers]) -> None:
    async def check() -> None:
        strategy = in_order([Known(answers) for answers in strategies])
        assert strategy is not None
        async with strategy.opened() as reuse:
            assert reuse is not None
            wanted = [expected(strategies, row) for row in range(6)]
            assert await asked(reuse, reuse.decide(ROWS)) == wanted
            portable = pickle.loads(pickle.dumps(reuse.portable()))  # our own
            with portable.opened() as elsewhere:
                assert await asked(reuse, elsewhere.decide(ROWS)) == wanted

    asyncio.run(check())


async def test_what_one_has_the_next_is_not_asked_for() -> None:
    first, second = Known({0: b"a", 3: b"b"}), Known({1: b"c"})
    strategy = in_order([first, second])
    assert strategy is not None
    async with strategy.opened() as reuse:
        assert reuse is not None
        reuse.decide(ROWS)
    assert second.asked == [1, 2, 4, 5]


async def test_one_that_has_nothing_to_give_is_left_out() -> None:
    gone, other = Known({0: b"a"}, is_gone=True), Known({0: b"b"})
    strategy = in_order([gone, other])
    assert strategy is not None
    async with strategy.opened() as reuse:
        assert reuse is not None
        assert (await asked(reuse, reuse.decide(ROWS)))[0] == b"b"
    nothing = in_order([gone, gone])
    assert nothing is not None
    async with nothing.opened() as reuse:
        assert reuse is None


async def test_one_that_stays_here_keeps_all_here_and_one_that_keeps_answers_suffices() -> None:
    strategy = in_order([Known({}), Known({}, moves=False, keeps_answers=True)])
    assert strategy is not None
    assert strategy.keeps_answers
    async with strategy.opened() as reuse:
        assert reuse is not None
        assert reuse.portable() is None


def test_none_are_none_and_one_is_itself() -> None:
    assert in_order([]) is None
    only = Known({})
    assert in_order([only]) is only
