"""A long plan is handed over to a process of its own, as soon as that is ready.

A thread that plans competes with the event loop for the interpreter; a process does not. It takes
half a second to begin, so the first shards are planned in the thread, and short plans altogether.
Where the process fails, the thread goes on from the last shard that came: what is wrong with a row
is met there once more, and told as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from batcher.engine.planning.planner import Planner
from batcher.ports import NewShard
from batcher.ports.planning import PlannerProcess

MANY_ROWS: Final = 20_000
"""Of a plan with fewer rows left, most would be planned before the process is ready."""


class AnyPlanner(Protocol):
    """What makes the rest of a plan; see :class:`batcher.engine.planning.planner.Planner`."""

    @property
    def next_row(self) -> int:
        """The first row that is in no shard yet."""
        ...

    @property
    def input_sha256(self) -> str | None:
        """The hash of the input as it was read; None where its end was not reached."""
        ...

    def next_shards(self, rows: int, size_bytes: int) -> Sequence[NewShard]:
        """The next shards, so many rows or bytes of them; none when all are planned."""
        ...

    def stop(self) -> None:
        """End what is being planned, from any thread."""
        ...


class HandoverPlanner:
    """Implements :class:`AnyPlanner`: first in the calling thread, then in a process."""

    def __init__(
        self,
        plan_here: Callable[[int, int], Planner],
        start: Callable[[], PlannerProcess | None],
        *,
        next_row: int,
        next_shard: int,
    ) -> None:
        """``plan_here`` makes a planner of this process from a row and a shard's number on."""
        self._plan_here = plan_here
        self._start: Callable[[], PlannerProcess | None] | None = start
        self._here: Planner | None = plan_here(next_row, next_shard)
        self._process: PlannerProcess | None = None
        self._stopped = False
        self._input_sha256: str | None = None
        self.next_row = next_row
        self._next_shard = next_shard

    @property
    def input_sha256(self) -> str | None:
        """See :class:`AnyPlanner`."""
        return self._input_sha256 if self._here is None else self._here.input_sha256

    def next_shards(self, rows: int, size_bytes: int) -> Sequence[NewShard]:
        """See :class:`AnyPlanner`. What the process gives has the size that it chooses."""
        if self._start is not None:
            self._process, self._start = self._start(), None
            if self._stopped and self._process is not None:
                self._process.stop()
        process = self._process
        if self._here is not None and process is not None and process.is_ready():
            self._here = None
            process.begin(self.next_row, self._next_shard)
        shards = self._take(process) if self._here is None and process is not None else None
        if shards is None:
            if self._here is None:
                self._process = None
                self._here = self._plan_here(self.next_row, self._next_shard)
                if self._stopped:
                    self._here.stop()
            shards = self._here.next_shards(rows, size_bytes)
        if shards:
            last = shards[-1]
            self.next_row, self._next_shard = last.first_row + last.rows, last.ordinal + 1
        return shards

    def stop(self) -> None:
        """See :class:`AnyPlanner`."""
        self._stopped = True
        for planner in (self._here, self._process):
            if planner is not None:
                planner.stop()

    def _take(self, process: PlannerProcess) -> Sequence[NewShard] | None:
        shards = process.take()
        if shards is None:
            return None
        self._input_sha256 = process.input_sha256
        return shards
