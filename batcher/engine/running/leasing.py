"""Keeps enough calls of one run queued, and finds out when there are no more."""

from __future__ import annotations

from collections.abc import Callable

from batcher.engine.job.endings import Ending, Endings
from batcher.engine.routes.route import Route
from batcher.engine.routes.send_gate import SendGate
from batcher.engine.running.leases import Leases
from batcher.engine.running.run_parts import Work
from batcher.engine.running.run_plan import RunPlan
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.settling.vector_length import VectorLength
from batcher.engine.wakeup import Wakeup

_CLAIMED_AT_ONCE = 4
_LOOK_AGAIN_SECONDS = 1.0


class Finish:
    """Decides whether a run is over that has nothing left to claim."""

    def __init__(
        self,
        work: Work,
        plan: RunPlan,
        gate: SendGate,
        *,
        verdicts: Verdicts,
        vectors: VectorLength,
        end: Callable[[Ending], None],
    ) -> None:
        """``end`` stops the run."""
        self._work = work
        self._plan = plan
        self._gate = gate
        self._verdicts = verdicts
        self._vectors = vectors
        self._end = end
        self._idle_since: float | None = None

    async def look(self) -> None:
        """Nothing can be claimed: perhaps all is done."""
        work = self._work
        if not self._gate.is_idle:
            self._idle_since = None
        elif self._verdicts.are_waiting and self._plan.is_whole:
            await self.hear_of_success()
            self._verdicts.give_up_all()
        elif (
            self._plan.is_whole and await self._all_is_settled() and await self._vectors.conclude()
        ):
            self._idle_since = None
        elif await work.services.store.complete(work.job.id):
            self._end(Endings.complete())
        elif work.linger_seconds is not None:
            now = work.services.clock.now()
            self._idle_since = self._idle_since or now
            if now - self._idle_since >= work.linger_seconds:
                self._end(Endings.idle())

    async def _all_is_settled(self) -> bool:
        """Whether nothing of the job is left to be asked, by other workers neither."""
        if not self._work.shared:
            return True
        tally = await self._work.services.store.tally(self._work.job.id)
        return tally.rows_done + tally.rows_failed >= self._work.live.rows

    async def hear_of_success(self) -> None:
        """What has never succeeded here may have in another worker of the job."""
        if not self._work.shared or self._verdicts.had_success:
            return
        tally = await self._work.services.store.tally(self._work.job.id)
        if tally.pieces_done:
            self._verdicts.learn_of_success()


class Leasing:
    """Claims shards as calls are sent. ``all_claimed``: there are no more, as far as is known."""

    def __init__(
        self,
        leases: Leases,
        route: Route,
        finish: Finish,
        plan: RunPlan,
        *,
        shared: bool,
        ended: Callable[[], bool],
    ) -> None:
        """``shared``: some shards are left to other workers; ``ended`` tells of its end."""
        self._ended = ended
        self._leases = leases
        self._route = route
        self._finish = finish
        self._plan = plan
        self._at_once = 1 if shared else _CLAIMED_AT_ONCE
        self.all_claimed = False

    async def run(self, news: Wakeup) -> None:
        """Keep enough calls queued; end the run when there are no more.

        ``news`` wakes it when there may be more to claim, or room for more.
        """
        while True:
            while self._route.wanting > 0:
                leases = await self._leases.claim(self._at_once)
                self.all_claimed = not leases and self._plan.is_whole
                if not leases:
                    if not self._ended():
                        await self._finish.look()
                    break
            await news.wait(_LOOK_AGAIN_SECONDS)
