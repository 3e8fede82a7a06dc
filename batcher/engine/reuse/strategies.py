"""Several strategies of reuse as one, asked in order, and shards filled with what they have.

The planner asks one strategy and knows none by name. Results of another run, of an equal row or of
a cache are found by what the row is called and by its content, which is a hash of all that shapes
its request; whatever answers is committed with the shard that the row is planned in. Where no
strategy has a result, the first one that knew the row says what it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

from batcher.core.kind import Shape
from batcher.engine.shards.results import encode_results
from batcher.ports import (
    AskedRow,
    CallNeeded,
    NewShard,
    PortableLookup,
    Reuse,
    Reused,
    ReuseLookup,
    ReuseStrategy,
)

LookupT = TypeVar("LookupT", bound=ReuseLookup)


def in_order(strategies: Sequence[ReuseStrategy]) -> ReuseStrategy | None:
    """One strategy that asks each of these about the rows that those before it have no result for.

    None where there are none.
    """
    if len(strategies) < 2:
        return strategies[0] if strategies else None
    return InOrder(tuple(strategies))


@dataclass(frozen=True, slots=True)
class InOrder:
    """Implements :class:`batcher.ports.ReuseStrategy` by others."""

    strategies: tuple[ReuseStrategy, ...]

    @property
    def keeps_answers(self) -> bool:
        """Whether any of them does."""
        return any(strategy.keeps_answers for strategy in self.strategies)

    @asynccontextmanager
    async def opened(
        self, tick: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[ReuseInOrder | None]:
        """Those of them that have something to give."""
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(each.opened(tick)) for each in self.strategies
            ]
            some = [each for each in opened if each is not None]
            yield ReuseInOrder(some) if some else None


class LookupInOrder(Generic[LookupT]):
    """Implements :class:`batcher.ports.ReuseLookup`: a place says whose it is."""

    def __init__(self, lookups: Sequence[LookupT]) -> None:
        """``lookups`` are asked from the first to the last."""
        self._lookups = lookups

    def decide(self, rows: Sequence[AskedRow]) -> list[Reused | CallNeeded]:
        """See :class:`batcher.ports.ReuseLookup`."""
        answers: list[Reused | CallNeeded] = [CallNeeded.NEW] * len(rows)
        left = list(range(len(rows)))
        for number, lookup in enumerate(self._lookups):
            if not left:
                break
            decided = lookup.decide([rows[at] for at in left])
            still: list[int] = []
            for at, answer in zip(left, decided, strict=True):
                if isinstance(answer, Reused):
                    answers[at] = answer._replace(place=(number, answer.place))
                    continue
                if answers[at] is CallNeeded.NEW:
                    answers[at] = answer
                still.append(at)
            left = still
        return answers


class ReuseInOrder(LookupInOrder[Reuse]):
    """Implements :class:`batcher.ports.Reuse` by others."""

    async def results(self, places: Sequence[Hashable]) -> list[bytes]:
        """See :class:`batcher.ports.Reuse`."""
        named = cast("Sequence[tuple[int, Hashable]]", places)
        found: dict[tuple[int, Hashable], bytes] = {}
        for number, lookup in enumerate(self._lookups):
            if wanted := [place for of, place in named if of == number]:
                values = await lookup.results(wanted)
                found |= {(number, at): value for at, value in zip(wanted, values, strict=True)}
        return [found[place] for place in named]

    def portable(self) -> PortableInOrder | None:
        """See :class:`batcher.ports.Reuse`: all of them go elsewhere, or none."""
        portable = [lookup.portable() for lookup in self._lookups]
        some = tuple(each for each in portable if each is not None)
        return PortableInOrder(some) if len(some) == len(portable) else None


@dataclass(frozen=True, slots=True)
class PortableInOrder:
    """Implements :class:`batcher.ports.PortableLookup` by others."""

    lookups: tuple[PortableLookup, ...]

    @contextmanager
    def opened(self) -> Iterator[LookupInOrder[ReuseLookup]]:
        """See :class:`batcher.ports.PortableLookup`."""
        with ExitStack() as stack:
            yield LookupInOrder([stack.enter_context(each.opened()) for each in self.lookups])


async def filled(shard: NewShard, reuse: Reuse, shape: Shape) -> NewShard:
    """The shard with the results of the rows that need no call.

    Raises:
        StoreError: they are gone since they were looked for.
    """
    carried = shard.carried
    if carried is None:
        return shard
    values = await reuse.results(carried.places)
    blob = await asyncio.to_thread(encode_results, shape, list(values))
    return replace(shard, carried=replace(carried, results=blob, places=()))
