"""The parts of one run, put together: which there are, and who knows whom.

Calls go from the queue to the route, answers from the route to the settler, and what is settled to
the writer of checkpoints; the leases bring the shards, and the guard of the budget says when
there is no more money.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from batcher.core.job.idempotency import OFF, KeyMaker
from batcher.core.kind import has_free_output
from batcher.core.model import Job
from batcher.engine.budget.budget_guard import BudgetGuard
from batcher.engine.budget.job_budget import JobBudget
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.job.endings import Ending
from batcher.engine.opening.binding import Bound
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.requests.parts import RequestParts
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.routes.route import Route, RouteNeeds
from batcher.engine.routes.send_gate import SendGate
from batcher.engine.running.leases import Admission, Claims, Leases
from batcher.engine.services import Connection, Services
from batcher.engine.settling.accounts import Accounts
from batcher.engine.settling.arrivals import Arrivals
from batcher.engine.settling.failing.dead_letters import DeadLetters
from batcher.engine.settling.failing.failure_parts import FailureParts
from batcher.engine.settling.failing.failures import FailureReader, Failures
from batcher.engine.settling.failing.known_good import KnownGood, find_answered
from batcher.engine.settling.failing.passing_failures import PassingFailures
from batcher.engine.settling.failing.provider_state import ProviderState
from batcher.engine.settling.failing.rate_limits import RateLimits
from batcher.engine.settling.failing.refusals import Refusals
from batcher.engine.settling.failing.retries import Retries
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.settling.outcomes import Outcomes
from batcher.engine.settling.reading import AnswerReader, UsageReader
from batcher.engine.settling.repairs import Repairs
from batcher.engine.settling.settler import Settler
from batcher.engine.settling.vector_length import VectorLength
from batcher.engine.shards.allowance import Reservations
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.held_shards import HeldShards
from batcher.engine.telemetry.run_stats import RunStats
from batcher.engine.telemetry.run_telemetry import RunLabels, RunTelemetry, TelemetrySinks
from batcher.ports import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run is given: a job, who it is, and by what it reaches the world.

    With ``linger_seconds`` others may work on the job, too: the run ends when there was nothing to
    claim for so long.
    """

    job: Job
    bound: Bound
    services: Services
    connection: Connection
    owner: str
    live: RunStats
    sinks: TelemetrySinks
    linger_seconds: float | None = None

    @property
    def shared(self) -> bool:
        """Whether others may work on the job, too."""
        return self.linger_seconds is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What the parts of a run share: requests, money, checkpoints, and what is told.

    ``end`` stops the run.
    """

    requests: RequestParts
    keys: IdempotencyKeys
    telemetry: RunTelemetry
    run_budget: RunBudget
    checkpoint_writer: CheckpointWriter
    end: Callable[[Ending], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What answers and failures do; ``state`` is what is known of the provider by them."""

    state: ProviderState
    settler: Settler
    verdicts: Verdicts
    passing: PassingFailures
    vectors: VectorLength


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One of each, for one run."""

    basis: Basis
    gate: SendGate
    route: Route
    settling: Settling
    leases: Leases
    budget_guard: BudgetGuard


def make_parts(
    work: Work,
    *,
    end: Callable[[Ending], None],
    on_flush: Callable[[Sequence[Checkpoint], float], None],
) -> Parts:
    """``end`` stops the run; ``on_flush`` is told what was committed, and how long it took."""
    basis = _basis(work, end, on_flush)
    gate = SendGate(CallQueue(work.services.clock), basis.checkpoint_writer, basis.run_budget)
    route = work.connection.make_route(_route_needs(work, basis, gate))
    settling = _settling(work, basis, gate, route)
    leases = _leases(work, basis, gate, settling)
    return Parts(
        basis=basis,
        gate=gate,
        route=route,
        settling=settling,
        leases=leases,
        budget_guard=_budget_guard(work, basis, gate, leases),
    )


def _basis(
    work: Work,
    end: Callable[[Ending], None],
    on_flush: Callable[[Sequence[Checkpoint], float], None],
) -> Basis:
    services, connection = work.services, work.connection
    requests = work.bound.requests(
        work.job.learned,
        charges_prompt_too=connection.charges_prompt_too,
        capped=work.job.budget_picousd is not None,
    )
    spec = work.bound.spec
    labels = RunLabels(
        job=work.job.id,
        kind=spec.kind,
        model=spec.model,
        endpoint=str(work.bound.kind.endpoint),
        owner=work.owner,
        base_url="" if spec.simulate or spec.via == "replay" else spec.base_url,
        provider=spec.provider,
    )
    telemetry = RunTelemetry(
        labels, work.live, work.sinks, clock=services.clock, secrets=connection.secrets
    )
    base = work.live.base
    run_budget = RunBudget(
        budget_picousd=work.job.budget_picousd,
        spent_picousd=base.usage.cost_picousd + base.doubt.cost_picousd,
        worst_of=requests.worst_case.of_call,
    )
    checkpoint_writer = CheckpointWriter(
        HeldShards(on_lost=lambda shard: telemetry.lease_lost(shard.ordinal)),
        Reservations(
            partial(services.store.checkpoint, work.job.id),
            requests.worst_case.of_pieces if work.job.budget_picousd is not None else None,
        ),
        clock=services.clock,
        room=services.room,
        on_flush=on_flush,
    )
    return Basis(
        requests=requests,
        keys=_keys(work),
        telemetry=telemetry,
        run_budget=run_budget,
        checkpoint_writer=checkpoint_writer,
        end=end,
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


def _route_needs(work: Work, basis: Basis, gate: SendGate) -> RouteNeeds:
    return RouteNeeds(
        job_id=work.job.id,
        spec=work.bound.spec,
        services=work.services,
        connection=work.connection,
        gate=gate,
        requests=basis.requests,
        keys=basis.keys,
        name=basis.telemetry.name,
        end=basis.end,
    )


def _settling(work: Work, basis: Basis, gate: SendGate, route: Route) -> Settling:
    services, secrets, store = work.services, work.connection.secrets, work.services.store
    description = work.job.description
    requests, telemetry, end = basis.requests, basis.telemetry, basis.end
    writer, feedback = basis.checkpoint_writer, route.feedback
    state = ProviderState(feedback, gate, services.clock)
    accounts = Accounts(
        requests.worst_case,
        basis.keys,
        writer,
        keeps_bills=description.work.cost_columns,
        priced=requests.prices.are_known,
    )
    retries = Retries(gate.queue, writer, services.chance)
    dead_letters = DeadLetters(
        writer,
        telemetry,
        secrets=secrets,
        stop_at_first=work.bound.spec.on_error == "stop",
        end=end,
    )
    had_success = work.live.base.pieces_done > 0 or description.is_proven
    verdicts = Verdicts(dead_letters, retries, had_success=had_success, end=end)
    known_good = KnownGood(
        state,
        gate.queue,
        accounts,
        basis.run_budget,
        find=partial(find_answered, store, work.job.id),
    )
    parts = FailureParts(
        state=state,
        retries=retries,
        verdicts=verdicts,
        known_good=known_good,
        telemetry=telemetry,
        end=end,
    )
    passing = PassingFailures(parts)
    failures = Failures(
        FailureReader(requests.learning, services.clock, secrets),
        feedback,
        rate_limits=RateLimits(parts, feedback, services.clock),
        passing=passing,
        refusals=Refusals(parts),
        verdicts=verdicts,
    )
    repairs = Repairs(verdicts, passing, accounts, secrets=secrets, end=end)
    vectors = VectorLength(
        shape=work.bound.shape,
        learning=requests.learning,
        checkpoint_writer=writer,
        learn=partial(store.learn, work.job.id),
        ask_again=repairs.ask_for_vectors,
    )
    arrivals = Arrivals(telemetry, feedback, state, verdicts)
    settler = Settler(
        AnswerReader(_usage_reader(work, requests), work.bound.kind, work.bound.spec.kind, secrets),
        arrivals,
        accounts,
        outcomes=Outcomes(
            writer, arrivals, verdicts, repairs=repairs, known_good=known_good, vectors=vectors
        ),
        failures=failures,
        known_good=known_good,
    )
    return Settling(
        state=state, settler=settler, verdicts=verdicts, passing=passing, vectors=vectors
    )


def _usage_reader(work: Work, requests: RequestParts) -> UsageReader:
    return UsageReader(
        requests.prices,
        requests.allowances,
        work.bound.tokenizer,
        free_output=has_free_output(work.bound.kind.endpoint),
    )


def _leases(work: Work, basis: Basis, gate: SendGate, settling: Settling) -> Leases:
    services = work.services
    admission = Admission(
        work.bound.shape,
        basis.run_budget.pay,
        worst_case=basis.requests.worst_case,
        keys=basis.keys,
    )
    return Leases(
        Claims(
            services.store,
            work.job.id,
            work.owner,
            services.lease_seconds,
            contents=any(strategy.keeps_answers for strategy in services.strategies),
        ),
        admission,
        basis.checkpoint_writer,
        queue=gate.queue,
        vectors=settling.vectors,
        clock=services.clock,
    )


def _budget_guard(work: Work, basis: Basis, gate: SendGate, leases: Leases) -> BudgetGuard:
    base = work.live.base
    job_budget = JobBudget(
        work.services.store,
        work.job.id,
        work.owner,
        spent_before=base.usage.cost_picousd + base.doubt.cost_picousd,
        shared=work.shared,
    )
    return BudgetGuard(
        job_budget,
        basis.run_budget,
        basis.checkpoint_writer,
        unpaid=lambda: gate.unpaid,
        take_over=leases.take_over,
    )
