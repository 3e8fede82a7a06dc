"""What a strategy of reuse answers: before tokens are counted, does this row need a call?

The planner asks one strategy and knows none by name. Results of another run, of an equal row or of
a cache are found by what the row is called and by its content, which is a hash of all that shapes
its request; whatever answers is committed with the shard that the row is planned in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import NamedTuple, Protocol

from batcher.core.kind import Shape
from batcher.core.model import RowId
from batcher.core.row.asked import Asked
from batcher.engine.shards.results import encode_results
from batcher.ports import NewShard


class AskedRow(NamedTuple):
    """A row that was rendered, and not counted yet.

    ``id`` is the row's number where no column holds ids, None where it could not be read;
    ``content`` its content hash (:func:`batcher.core.job.fingerprint.content`), None where it could
    not be rendered. ``sendable``: there is something to send.
    """

    id: RowId | None
    content: bytes | None
    sendable: bool


class CallNeeded(Enum):
    """There is no result for the row, and what it was to the strategy before."""

    NEW = auto()
    CHANGED = auto()
    FAILED_BEFORE = auto()


class Reused(NamedTuple):
    """The row needs no call: its result is at ``place``, which only the strategy understands.

    ``tokens`` and ``spans`` (start and end in characters) are of the pieces that the result is of;
    ``spans`` is None where the row was not cut.
    """

    place: Hashable
    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int], ...] | None = None


class Reuse(Protocol):
    """One strategy, open for one plan."""

    def decide(self, rows: Sequence[AskedRow]) -> Sequence[Reused | CallNeeded]:
        """Say of each row whether it needs a call; in a thread, with the rows in input order."""
        ...

    async def results(self, places: Sequence[Hashable]) -> Sequence[bytes]:
        """The results at these places, those of a row's pieces as one blob each.

        Raises:
            StoreError: they are gone since they were looked for.
        """
        ...


class OpensReuse(Protocol):
    """How a strategy is opened where a plan is made."""

    def opened(
        self, tick: Callable[[], Awaitable[None]] | None = None
    ) -> AbstractAsyncContextManager[Reuse | None]:
        """It, or None where it has nothing to give; ``tick`` is awaited now and then meanwhile."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedShard:
    """A shard, and where the results are of the rows in it that need no call, one place a row.

    ``shard`` names their pieces, and still lacks the results themselves. ``asked`` is what its
    pieces ask for.
    """

    shard: NewShard
    places: Sequence[Hashable] = ()
    asked: Asked = field(default_factory=Asked, repr=False)


async def filled(planned: PlannedShard, reuse: Reuse, shape: Shape) -> NewShard:
    """The shard with the results of the rows that need no call.

    Raises:
        StoreError: they are gone since they were looked for.
    """
    carried = planned.shard.carried
    if carried is None:
        return planned.shard
    values = await reuse.results(planned.places)
    blob = await asyncio.to_thread(encode_results, shape, list(values))
    return replace(planned.shard, carried=replace(carried, results=blob))
