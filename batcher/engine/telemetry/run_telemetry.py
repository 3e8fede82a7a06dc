"""What one run tells of itself: figures to whoever watches, events to whoever runs it.

Nothing here decides anything or waits. Of the provider's words only a code and its own request id
pass, and only where they look like such; of a row not even its id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from batcher.core.errors import TransportError
from batcher.core.job.urls import unreached
from batcher.core.model import Usage
from batcher.core.text.redaction import redact, told_code
from batcher.core.throttle.bucket import Limits
from batcher.engine.shards.call import Call
from batcher.engine.telemetry.run_stats import RunStats
from batcher.ports import (
    Checkpoint,
    Clock,
    Event,
    Fact,
    Fate,
    Log,
    Meter,
    Reply,
    RequestFact,
    Trace,
)

SLOW_SECONDS = 1.0
"""A checkpoint that takes longer holds up what may be sent; it is an event."""
_FAULTS = {
    Fate.GARBLED: "garbled answer",
    Fate.CONNECT: "no connection",
    Fate.TIMEOUT: "timeout",
    Fate.DISCONNECT: "connection lost",
    Fate.TOO_LARGE: "answer too large",
}
_ANSWER_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)


def null_log(event: Event, /, **facts: Fact) -> None:
    """A log that nobody reads (:class:`batcher.ports.Log`)."""


@dataclass(frozen=True, slots=True)
class TelemetrySinks:
    """Where runs tell what happens, besides their live figures; nowhere unless told otherwise."""

    log: Log = null_log
    meter: Meter = field(default_factory=Meter)
    trace: Trace | None = None


class Sending(Protocol):
    """What a run's route shows of itself: requests in flight, and waits for a send time so far."""

    @property
    def in_flight(self) -> int: ...

    @property
    def waits(self) -> int: ...

    @property
    def wait_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLabels:
    """What a run is: ``endpoint`` is where requests go; ``owner`` is the run's own name.

    ``base_url`` is what it is of, and ``provider`` who configured it so; it is empty where requests
    do not leave this process.
    """

    job: str
    kind: str
    model: str
    endpoint: str
    owner: str
    base_url: str = ""
    provider: str | None = None


class RunTelemetry:
    """Tells what happens in one run."""

    def __init__(
        self,
        labels: RunLabels,
        live: RunStats,
        sinks: TelemetrySinks,
        *,
        clock: Clock,
        secrets: Sequence[str],
    ) -> None:
        """``secrets`` are struck from what a provider says."""
        self._labels = labels
        self._job = labels.job
        self._live = live
        self._log = sinks.log
        self._meter = sinks.meter
        self._trace = sinks.trace
        self._clock = clock
        self._secrets = secrets
        self._prefix = f"batcher-{labels.job}-{_short(labels.owner)}-"
        self._numbers = count(1)
        self._waits = (0, 0.0)
        self._short = False

    def name(self, call: Call) -> str:
        """A new request's own id, which goes with it and into what is told of it."""
        call.request_id = f"{self._prefix}{next(self._numbers)}"
        call.answer_id = ""
        return call.request_id

    # --- requests -----------------------------------------------------------------------------

    def answered(
        self, call: Call, sent_at: float, reply: Reply, usage: Usage | None = None
    ) -> None:
        """A whole answer came; ``usage`` is what a good one says it cost."""
        if not self._live.answered:
            self._live.answered = True
            self._live.unreached = ""
        if usage is not None and 200 <= reply.status < 300:
            self._live.count(usage)
            meter = self._meter
            meter.requests_ok += 1
            meter.prompt_tokens += usage.prompt_tokens
            meter.completion_tokens += usage.completion_tokens
            meter.cost_picousd += usage.cost_picousd
            self._ended(call, sent_at, Fate.OK, reply.status, usage)
            return
        fate = Fate.of(reply.status)
        answer_id = reply.headers.get("x-request-id", "")
        clean = _ANSWER_ID.fullmatch(answer_id) and redact(answer_id, self._secrets) == answer_id
        call.answer_id = answer_id if clean else ""
        self._failed(call, sent_at, Fate.GARBLED if fate is Fate.OK else fate, reply.status)

    def lost(self, call: Call, sent_at: float, error: TransportError) -> None:
        """No whole answer came."""
        self._failed(call, sent_at, Fate(error.code), None)
        if error.code == Fate.CONNECT:
            said = redact(str(error), self._secrets)
            self._live.last_fault = said
            labels = self._labels
            if labels.base_url and not self._live.answered and not error.lasting:
                why = said.rpartition(": ")[2]
                self._live.unreached = unreached(labels.base_url, why, provider=labels.provider)

    def _failed(self, call: Call, sent_at: float, fate: Fate, status: int | None) -> None:
        self._meter.requests_failed[fate] += 1
        self._live.count(Usage(requests=1))
        if fate is not Fate.RATE_LIMITED:
            self._live.last_fault = _FAULTS.get(fate) or f"HTTP {status}"
        self._log(
            Event.REQUEST_FAILED,
            job=self._job,
            request=call.request_id,
            answer=call.answer_id or None,
            outcome=str(fate),
            status=status,
            rows=len(call.pieces),
            seconds=round(self._clock.now() - sent_at, 3),
        )
        self._ended(call, sent_at, fate, status, None)

    def _ended(
        self, call: Call, sent_at: float, fate: Fate, status: int | None, usage: Usage | None
    ) -> None:
        seconds = self._clock.now() - sent_at
        self._live.requests += 1
        self._meter.request_seconds.add(seconds)
        if self._trace is not None:
            self._trace.request(
                RequestFact(
                    job=self._job,
                    kind=self._labels.kind,
                    endpoint=self._labels.endpoint,
                    model=self._labels.model,
                    request=call.request_id,
                    fate=fate,
                    status=status,
                    seconds=seconds,
                    prompt_tokens=0 if usage is None else usage.prompt_tokens,
                    completion_tokens=0 if usage is None else usage.completion_tokens,
                )
            )

    def retried(self) -> None:
        """A request failed in a way that may pass."""
        self._live.retried += 1
        self._meter.retries += 1

    def rate_limited(self, said: str) -> None:
        """A 429 came, with these words of the provider's, for the live view alone."""
        self._live.rate_limited += 1
        self._live.last_limit = said

    def paused(self, call: Call, seconds: float) -> None:
        """A 429 stops everyone for so long."""
        self._meter.pauses += 1
        self._meter.pause_seconds += seconds
        self._log(
            Event.THROTTLE_PAUSED,
            job=self._job,
            request=call.request_id,
            answer=call.answer_id or None,
            seconds=round(seconds, 3),
        )

    def buried(self, call: Call, row: int, code: str) -> None:
        """A piece of the row failed for good."""
        self._live.dead += 1
        self._meter.rows_dead += 1
        self._log(
            Event.ROW_DEAD,
            job=self._job,
            row=row,
            code=told_code(code, self._secrets),
            request=call.request_id or None,
            answer=call.answer_id or None,
        )

    # --- checkpoints and leases ---------------------------------------------------------------

    def committed(self, checkpoints: Sequence[Checkpoint], seconds: float) -> None:
        """A commit took so long."""
        rows = sum(checkpoint.rows_done for checkpoint in checkpoints)
        self._live.rows_done += rows
        self._meter.rows_done += rows
        self._meter.checkpoint_seconds.add(seconds)
        if seconds > SLOW_SECONDS:
            self._log(
                Event.CHECKPOINT_SLOW,
                job=self._job,
                seconds=round(seconds, 3),
                shards=len(checkpoints),
            )

    def lease_lost(self, ordinal: int) -> None:
        """Somebody else owns the shard by now."""
        self._meter.leases_lost += 1
        self._log(Event.LEASE_LOST, job=self._job, shard=ordinal)

    # --- once a second ------------------------------------------------------------------------

    def look(
        self, sending: Sending, limits: Limits, *, window: int, outage: bool, short: bool
    ) -> None:
        """Show how things are; what has begun or is over since the last look is an event."""
        live, meter = self._live, self._meter
        live.in_flight = sending.in_flight
        live.window = window
        live.limits = limits
        waits, seconds = sending.waits, sending.wait_seconds
        meter.throttle_waits += waits - self._waits[0]
        meter.throttle_wait_seconds += seconds - self._waits[1]
        self._waits = (waits, seconds)
        if outage != live.outage:
            live.outage = outage
            self._log(Event.OUTAGE_BEGUN if outage else Event.OUTAGE_OVER, job=self._job)
        if short and not self._short:
            self._log(Event.BUDGET_SHORT, job=self._job)
        self._short = short


def _short(owner: str) -> str:
    """Eight characters for an owner; two of one job hardly ever have the same."""
    number = 0
    for character in owner:
        number = (number * 1_000_003 + ord(character)) & 0xFFFFFFFF
    return f"{number:08x}"
