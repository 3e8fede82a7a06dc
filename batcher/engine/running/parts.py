"""The parts of one run, put together: which there are, and who knows whom.

Calls go from the dispatcher to the senders, answers from the senders to the settler, and what is
settled to the ledger; the leases bring the shards, and the funds say when there is no more money.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from batcher.core.failures.outage import Health
from batcher.core.job.idempotency import OFF, KeyMaker
from batcher.core.job.spec import JobSpec
from batcher.core.model import Job
from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.sharing import WEIGHTS, Flow
from batcher.engine.budget.budget_guard import BudgetGuard
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.job.endings import Ending
from batcher.engine.opening.binding import Bound
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.routes.online.dispatcher import Dispatcher
from batcher.engine.routes.online.pace import Pace
from batcher.engine.routes.online.senders import Senders
from batcher.engine.running.leases import Leases
from batcher.engine.services import Connection, Services
from batcher.engine.settling.failures import Failures
from batcher.engine.settling.known_good import KnownGood, find_answered
from batcher.engine.settling.settler import Settler
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.telemetry.run_stats import RunStats
from batcher.engine.telemetry.run_telemetry import RunTelemetry, TelemetrySinks
from batcher.ports import Checkpoint

_FIRST_WINDOW = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run is given: a job, who it is, and by what it reaches the world.

    ``shared``: others may work on the job, too.
    """

    job: Job
    bound: Bound
    services: Services
    connection: Connection
    owner: str
    live: RunStats
    sinks: TelemetrySinks
    shared: bool


class Parts:
    """One of each, for one run."""

    def __init__(
        self,
        work: Work,
        *,
        end: Callable[[Ending], None],
        on_flush: Callable[[Sequence[Checkpoint], float], None],
        hungry: Callable[[], None],
    ) -> None:
        """``end`` stops the run; ``on_flush`` is told what was committed, and how long it took.

        ``hungry`` is called when more calls should be queued.
        """
        services, connection = work.services, work.connection
        self.requests = work.bound.requests(
            work.job.learned,
            model_in_body=connection.model_in_body,
            azure=connection.charges_prompt_too,
            keys=_keys(work),
            capped=work.job.budget_picousd is not None,
        )
        self.telemetry = _telemetry(work)
        self.health = Health()
        self.window = _window(work.bound.spec)
        self.run_budget = _run_budget(work, self)
        self.checkpoint_writer = _checkpoint_writer(work, self, on_flush)
        self.dispatcher = _dispatcher(work, self, hungry)
        self.pace = _pace(work, self)
        self.known_good = _known_good(work, self)
        self.failures = _failures(work, self, end)
        self.settler = Settler(
            bound=work.bound.kind,
            requests=self.requests,
            pace=self.pace,
            checkpoint_writer=self.checkpoint_writer,
            dispatcher=self.dispatcher,
            telemetry=self.telemetry,
            failures=self.failures,
            known_good=self.known_good,
            secrets=connection.secrets,
            learn=partial(services.store.learn, work.job.id),
            end=end,
        )
        self.senders = Senders(
            provider=connection.provider,
            requests=self.requests,
            window=self.window,
            dispatcher=self.dispatcher,
            answers=self.settler,
            room=services.room,
            telemetry=self.telemetry,
            clock=services.clock,
            end=end,
        )
        self.leases = _leases(work, self)
        self.budget_guard = BudgetGuard(
            work.job,
            work.live.base,
            shared=work.shared,
            owner=work.owner,
            store=services.store,
            run_budget=self.run_budget,
            checkpoint_writer=self.checkpoint_writer,
            unpaid=lambda: self.dispatcher.unpaid,
            take_over=self.leases.take_over,
        )


def _keys(work: Work) -> IdempotencyKeys:
    spec = work.bound.spec
    if spec.idempotency_header == OFF:
        return IdempotencyKeys(None)
    parameters = [("model", spec.model), *spec.params.items()]
    if work.job.budget_picousd is not None and (cap := work.bound.answer_cap) is not None:
        parameters.append(("max_tokens", cap))
    return IdempotencyKeys(
        KeyMaker(secret=work.job.fingerprint, job=work.job.id, parameters=parameters)
    )


def _telemetry(work: Work) -> RunTelemetry:
    return RunTelemetry(
        work.job.id,
        work.bound.spec.kind,
        work.bound.spec.model,
        endpoint=str(work.bound.kind.endpoint),
        owner=work.owner,
        live=work.live,
        sinks=work.sinks,
        clock=work.services.clock,
        secrets=work.connection.secrets,
    )


def _window(spec: JobSpec) -> ConcurrencyWindow:
    """All that is allowed where the user names a limit, else a few to begin with."""
    known = spec.rpm is not None or spec.tpm is not None
    initial = spec.concurrency if known else min(_FIRST_WINDOW, spec.concurrency)
    return ConcurrencyWindow(spec.concurrency, initial)


def _run_budget(work: Work, parts: Parts) -> RunBudget:
    base = work.live.base
    return RunBudget(
        budget_picousd=work.job.budget_picousd,
        spent_picousd=base.usage.cost_picousd + base.doubt.cost_picousd,
        worst_of=parts.requests.worst_of,
    )


def _checkpoint_writer(
    work: Work, parts: Parts, on_flush: Callable[[Sequence[Checkpoint], float], None]
) -> CheckpointWriter:
    telemetry = parts.telemetry
    return CheckpointWriter(
        store=work.services.store,
        job_id=work.job.id,
        clock=work.services.clock,
        room=work.services.room,
        worst_case=parts.requests.worst_case if work.job.budget_picousd is not None else None,
        on_flush=on_flush,
        on_lost=lambda shard: telemetry.lease_lost(shard.ordinal),
    )


def _dispatcher(work: Work, parts: Parts, hungry: Callable[[], None]) -> Dispatcher:
    services, connection = work.services, work.connection
    return Dispatcher(
        throttle=connection.throttle,
        quota=connection.quota,
        flow=Flow(work.job.id, WEIGHTS[work.bound.spec.priority]),
        slots=services.slots,
        window=parts.window,
        health=parts.health,
        checkpoint_writer=parts.checkpoint_writer,
        run_budget=parts.run_budget,
        clock=services.clock,
        chance=services.chance,
        charge=parts.requests.charge,
        hungry=hungry,
    )


def _pace(work: Work, parts: Parts) -> Pace:
    return Pace(
        throttle=work.connection.throttle,
        quota=work.connection.quota,
        window=parts.window,
        clock=work.services.clock,
        chance=work.services.chance,
    )


def _known_good(work: Work, parts: Parts) -> KnownGood:
    return KnownGood(
        requests=parts.requests,
        checkpoint_writer=parts.checkpoint_writer,
        dispatcher=parts.dispatcher,
        run_budget=parts.run_budget,
        health=parts.health,
        clock=work.services.clock,
        find=partial(find_answered, work.services.store, work.job.id),
    )


def _failures(work: Work, parts: Parts, end: Callable[[Ending], None]) -> Failures:
    services, connection = work.services, work.connection
    return Failures(
        requests=parts.requests,
        pace=parts.pace,
        health=parts.health,
        checkpoint_writer=parts.checkpoint_writer,
        dispatcher=parts.dispatcher,
        clock=services.clock,
        chance=services.chance,
        telemetry=parts.telemetry,
        known_good=parts.known_good,
        had_success=work.live.base.pieces_done > 0 or work.job.description.is_proven,
        stop_at_dead=work.bound.spec.on_error == "stop",
        secrets=connection.secrets,
        end=end,
    )


def _leases(work: Work, parts: Parts) -> Leases:
    services = work.services
    return Leases(
        work.job.id,
        work.owner,
        seconds=services.lease_seconds,
        shape=work.bound.shape,
        store=services.store,
        clock=services.clock,
        requests=parts.requests,
        run_budget=parts.run_budget,
        checkpoint_writer=parts.checkpoint_writer,
        dispatcher=parts.dispatcher,
        settler=parts.settler,
        keeps_bills=work.job.description.work.cost_columns,
    )
