"""What a run looks at once a second: its figures, its provider, its money, its job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from batcher.core.model import Job, JobState
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.requests.builder import Learning
from batcher.engine.routes.route import Route
from batcher.engine.running.leases import Leases
from batcher.engine.running.run_parts import Work
from batcher.engine.settling.failing.passing_failures import PassingFailures
from batcher.engine.settling.failing.provider_state import ProviderState
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.telemetry.run_telemetry import RunTelemetry

LOOK_SECONDS = 1.0
_LOOKS_FOR_THE_DEAD = 3

Look = Callable[[], Awaitable[None]]


class Figures:
    """Shows how things are in a run."""

    def __init__(
        self,
        telemetry: RunTelemetry,
        route: Route,
        *,
        state: ProviderState,
        checkpoint_writer: CheckpointWriter,
    ) -> None:
        self._telemetry = telemetry
        self._route = route
        self._state = state
        self._checkpoint_writer = checkpoint_writer

    async def show(self) -> None:
        """Show how they are now."""
        figures = self._route.figures
        self._telemetry.look(
            figures,
            figures.limits,
            window=figures.window,
            outage=self._state.in_outage,
            short=self._checkpoint_writer.budget_short,
        )


class LearnedKeeper:
    """Writes down what the provider taught, when there is more of it."""

    def __init__(self, work: Work, learning: Learning) -> None:
        self._work = work
        self._learning = learning
        self._kept = learning.learned

    async def keep(self) -> None:
        """Write down what was learned since the last time."""
        learned = self._learning.learned
        if learned != self._kept:
            self._kept = learned
            await self._work.services.store.learn(self._work.job.id, learned)


class OutageWatch:
    """Ends a run whose provider has been out for too long."""

    def __init__(
        self,
        work: Work,
        state: ProviderState,
        passing: PassingFailures,
        *,
        all_claimed: Callable[[], bool],
        end: Callable[[Ending], None],
    ) -> None:
        """``all_claimed``: nothing is left to be claimed; ``end`` stops the run."""
        self._work = work
        self._state = state
        self._passing = passing
        self._all_claimed = all_claimed
        self._end = end

    async def look(self) -> None:
        """Pause the job after too long an outage; where only the last rows fail, find out why."""
        reason = self._state.given_up(self._work.bound.spec.outage_timeout)
        if reason and not (self._all_claimed() and self._passing.grant_last_try()):
            clock, until = self._work.services.clock, self._work.live.limits.paused_until
            spec = self._work.bound.spec
            if hint := self._work.live.unreached:
                reason = f"{reason}; {hint}"
            elif not self._state.has_answered and not spec.simulate:
                reason = f"{reason}; in this run nothing has succeeded at {spec.answers_from}"
            wait = None if until is None else until - clock.now()
            self._end(Endings.paused(reason, wait, wall=clock.wall()))
        if self._all_claimed():
            await self._passing.ask_for_proof()


class TakeOver:
    """Looks now and then for shards of workers that died."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._looks = 0

    async def look(self) -> None:
        """Claim one, every few looks."""
        self._looks += 1
        if self._looks % _LOOKS_FOR_THE_DEAD == 0:
            await self._leases.take_over()


class Watch:
    """Looks at everything once a second."""

    def __init__(
        self,
        work: Work,
        looks: Sequence[Look],
        hears: Sequence[Callable[[Job], Awaitable[None]]],
        end: Callable[[Ending], None],
    ) -> None:
        """``looks`` are done in this order; then ``hears`` are told what the store says.

        ``end`` stops the run, where somebody else has stopped the job.
        """
        self._work = work
        self._looks = looks
        self._hears = hears
        self._end = end

    async def run(self) -> None:
        """Look, for ever."""
        services = self._work.services
        while True:
            await services.clock.sleep(LOOK_SECONDS)
            for look in self._looks:
                await look()
            job = await services.store.job(self._work.job.id)
            for hear in self._hears:
                await hear(job)
            if job.state not in (JobState.OPEN, JobState.COMPLETE):
                self._end(Endings.of(job))
