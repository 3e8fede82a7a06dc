"""The plan of one run's job: written here, or by somebody else meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from batcher.core.errors import InputError
from batcher.core.model import Job
from batcher.engine.job.endings import LEAST_ROOM_BYTES, Ending, Endings
from batcher.engine.planning.plan_writer import PlanLease, Planning, PlanWriter
from batcher.engine.running.run_parts import Work
from batcher.ports import NewShard, Room


class RunPlan:
    """What is planned of the job.

    ``is_whole``: all of it. ``error`` is what planning failed by, where that ended the run and the
    job does not tell.
    """

    def __init__(
        self,
        work: Work,
        planning: Planning | None,
        *,
        news: Callable[[], None],
        end: Callable[[Ending], None],
    ) -> None:
        """``planning`` is None where the plan is written, or is somebody else's to write.

        ``news`` is called when there are more shards; ``end`` stops the run.
        """
        self._work = work
        self._planning = planning
        self._news = news
        self._end = end
        self.is_whole = work.job.planned
        self.error: Exception | None = None

    async def write(self) -> None:
        """Write what is left of the plan, where that is this run's to do."""
        if self._planning is None:
            return
        services = self._work.services
        lease = PlanLease(
            services.store,
            services.clock,
            self._work.job.id,
            self._work.owner,
            services.lease_seconds,
        )
        writer = PlanWriter(
            self._planning, lease, services.store, services.clock, wrote=self._wrote
        )
        try:
            written = await writer.write()
        except Exception as error:  # noqa: BLE001 - an input may make anything be raised
            ending = Endings.of_planning(error)
            told = ending.event is not None and not isinstance(error, InputError)
            self.error = None if told else error
            self._end(ending)
            return
        if written:
            self.is_whole = True
            self._news()

    def _wrote(self, shard: NewShard) -> None:
        end_where_cramped(self._work.services.store, self._end)
        live = self._work.live
        live.rows_planned = shard.first_row + shard.rows
        live.dead += len(shard.dead)
        if shard.carried is not None:
            live.carry(shard.carried.rows)
        if shard.dead and self._work.bound.spec.on_error == "stop":
            self._end(Endings.at_dead_letter())
        self._news()

    async def hear(self, job: Job) -> None:
        """What the store says of the job now: somebody else may plan it."""
        if self._planning is None:
            live = self._work.live
            self.is_whole = job.planned
            live.rows_planned = live.rows if job.planned else job.plan_row


def end_where_cramped(room: Room, end: Callable[[Ending], None]) -> None:
    """Stop while there is room for what is in flight: without it that would be paid in vain."""
    left = room.room_bytes()
    if left is not None and left < LEAST_ROOM_BYTES:
        end(Endings.cramped(left))
