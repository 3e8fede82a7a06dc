"""The parts of one run, put together: which there are, and who knows whom.

Calls go from the dispatcher to the senders, answers from the senders to the settler, and what is
settled to the ledger; the leases bring the shards, and the funds say when there is no more money.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from batcher.core.idempotency import OFF, KeyMaker
from batcher.core.model import Job
from batcher.core.outage import Health
from batcher.core.sharing import WEIGHTS, Flow
from batcher.core.spec import JobSpec
from batcher.core.window import ConcurrencyWindow
from batcher.engine.adapters import Adapters, Connection
from batcher.engine.description import Description
from batcher.engine.dispatch import Dispatcher
from batcher.engine.ending import Ending
from batcher.engine.failing import Failures
from batcher.engine.funds import Funds
from batcher.engine.keys import Keys
from batcher.engine.known_good import KnownGood, find_answered
from batcher.engine.leasing import Leases
from batcher.engine.ledger import Ledger
from batcher.engine.live import Live
from batcher.engine.pace import Pace
from batcher.engine.preparing import Bound
from batcher.engine.purse import Purse
from batcher.engine.sending import Senders
from batcher.engine.settling import Settler
from batcher.engine.witness import Telling, Witness
from batcher.ports import Checkpoint

_FIRST_WINDOW = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run is given: a job, who it is, and by what it reaches the world.

    ``shared``: others may work on the job, too.
    """

    job: Job
    bound: Bound
    adapters: Adapters
    connection: Connection
    owner: str
    live: Live
    telling: Telling
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
        adapters, connection = work.adapters, work.connection
        self.requests = work.bound.requests(
            work.job.learned,
            model_in_body=connection.model_in_body,
            azure=connection.charges_prompt_too,
            keys=_keys(work),
            capped=work.job.budget_picousd is not None,
        )
        self.witness = _witness(work)
        self.health = Health()
        self.window = _window(work.bound.spec)
        self.purse = _purse(work, self)
        self.ledger = _ledger(work, self, on_flush)
        self.dispatcher = _dispatcher(work, self, hungry)
        self.pace = _pace(work, self)
        self.known_good = _known_good(work, self)
        self.failures = _failures(work, self, end)
        self.settler = Settler(
            bound=work.bound.kind,
            requests=self.requests,
            pace=self.pace,
            ledger=self.ledger,
            dispatcher=self.dispatcher,
            witness=self.witness,
            failures=self.failures,
            known_good=self.known_good,
            secrets=connection.secrets,
            learn=partial(adapters.store.learn, work.job.id),
            end=end,
        )
        self.senders = Senders(
            provider=connection.provider,
            requests=self.requests,
            window=self.window,
            dispatcher=self.dispatcher,
            answers=self.settler,
            room=adapters.room,
            witness=self.witness,
            clock=adapters.clock,
            end=end,
        )
        self.leases = _leases(work, self)
        self.funds = Funds(
            work.job,
            work.live.base,
            shared=work.shared,
            owner=work.owner,
            store=adapters.store,
            purse=self.purse,
            ledger=self.ledger,
            unpaid=lambda: self.dispatcher.unpaid,
            take_over=self.leases.take_over,
        )


def _keys(work: Work) -> Keys:
    spec = work.bound.spec
    if spec.idempotency_header == OFF:
        return Keys(None)
    parameters = [("model", spec.model), *spec.params.items()]
    if work.job.budget_picousd is not None and (cap := work.bound.answer_cap) is not None:
        parameters.append(("max_tokens", cap))
    return Keys(KeyMaker(secret=work.job.fingerprint, job=work.job.id, parameters=parameters))


def _witness(work: Work) -> Witness:
    return Witness(
        work.job.id,
        work.bound.spec.kind,
        work.bound.spec.model,
        endpoint=str(work.bound.kind.endpoint),
        owner=work.owner,
        live=work.live,
        telling=work.telling,
        clock=work.adapters.clock,
        secrets=work.connection.secrets,
    )


def _window(spec: JobSpec) -> ConcurrencyWindow:
    """All that is allowed where the user names a limit, else a few to begin with."""
    known = spec.rpm is not None or spec.tpm is not None
    initial = spec.concurrency if known else min(_FIRST_WINDOW, spec.concurrency)
    return ConcurrencyWindow(spec.concurrency, initial)


def _purse(work: Work, parts: Parts) -> Purse:
    base = work.live.base
    return Purse(
        budget_picousd=work.job.budget_picousd,
        spent_picousd=base.usage.cost_picousd + base.doubt.cost_picousd,
        worst_of=parts.requests.worst_of,
    )


def _ledger(
    work: Work, parts: Parts, on_flush: Callable[[Sequence[Checkpoint], float], None]
) -> Ledger:
    witness = parts.witness
    return Ledger(
        store=work.adapters.store,
        job_id=work.job.id,
        clock=work.adapters.clock,
        room=work.adapters.room,
        worst_case=parts.requests.worst_case if work.job.budget_picousd is not None else None,
        on_flush=on_flush,
        on_lost=lambda shard: witness.lease_lost(shard.ordinal),
    )


def _dispatcher(work: Work, parts: Parts, hungry: Callable[[], None]) -> Dispatcher:
    adapters, connection = work.adapters, work.connection
    return Dispatcher(
        throttle=connection.throttle,
        quota=connection.quota,
        flow=Flow(work.job.id, WEIGHTS[work.bound.spec.priority]),
        slots=adapters.slots,
        window=parts.window,
        health=parts.health,
        ledger=parts.ledger,
        purse=parts.purse,
        clock=adapters.clock,
        chance=adapters.chance,
        charge=parts.requests.charge,
        hungry=hungry,
    )


def _pace(work: Work, parts: Parts) -> Pace:
    return Pace(
        throttle=work.connection.throttle,
        quota=work.connection.quota,
        window=parts.window,
        clock=work.adapters.clock,
        chance=work.adapters.chance,
    )


def _known_good(work: Work, parts: Parts) -> KnownGood:
    return KnownGood(
        requests=parts.requests,
        ledger=parts.ledger,
        dispatcher=parts.dispatcher,
        purse=parts.purse,
        health=parts.health,
        clock=work.adapters.clock,
        find=partial(find_answered, work.adapters.store, work.job.id),
    )


def _failures(work: Work, parts: Parts, end: Callable[[Ending], None]) -> Failures:
    adapters, connection = work.adapters, work.connection
    return Failures(
        requests=parts.requests,
        pace=parts.pace,
        health=parts.health,
        ledger=parts.ledger,
        dispatcher=parts.dispatcher,
        clock=adapters.clock,
        chance=adapters.chance,
        witness=parts.witness,
        known_good=parts.known_good,
        had_success=work.live.base.pieces_done > 0 or Description.read(work.job).is_proven,
        stop_at_dead=work.bound.spec.on_error == "stop",
        secrets=connection.secrets,
        end=end,
    )


def _leases(work: Work, parts: Parts) -> Leases:
    adapters = work.adapters
    return Leases(
        work.job.id,
        work.owner,
        seconds=adapters.lease_seconds,
        shape=work.bound.kind.shape,
        store=adapters.store,
        clock=adapters.clock,
        requests=parts.requests,
        purse=parts.purse,
        ledger=parts.ledger,
        dispatcher=parts.dispatcher,
        settler=parts.settler,
        keeps_bills=Description.read(work.job).spec.cost_columns,
    )
