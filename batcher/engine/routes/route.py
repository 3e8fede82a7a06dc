"""What a run needs of any route, what it gives a route, and what settling tells it.

The seam between "these calls are planned" and "here are their answers". A route takes calls from
the queue, each only once the gate lets it go, and hands every answer to whoever takes answers: at
once or hours later, in any order. Nothing above it knows by which way they came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from batcher.core.errors import RowError, TransportError
from batcher.core.failures.outage import Health
from batcher.core.failures.verdicts import SharedPause
from batcher.core.job.spec import JobSpec
from batcher.core.model import Learned
from batcher.core.throttle.bucket import Limits
from batcher.engine.job.endings import Ending
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.requests.parts import RequestParts
from batcher.engine.routes.send_gate import SendGate
from batcher.engine.services import Connection, Services
from batcher.engine.shards.call import Call
from batcher.ports import Reply


class Sent(NamedTuple):
    """A call that was sent: when, on the engine's clock, and what was known of the provider then.

    ``handle`` is the route's own: it comes back with whatever is told of the call.
    """

    call: Call
    at: float
    learned: Learned
    handle: Any = None


class AnswerTaker(Protocol):
    """Who acts on what comes back of a call, or does not. One of the four is called, once."""

    async def answered(self, sent: Sent, reply: Reply) -> None:
        """A whole answer came.

        Raises:
            KindFailed: the kind cannot read it.
        """
        ...

    async def lost(self, sent: Sent, error: TransportError) -> None:
        """No whole answer came."""
        ...

    def unsendable(self, call: Call, failed: Mapping[int, RowError]) -> None:
        """The call was not sent, since some of its pieces cannot be, for this reason each."""
        ...

    def leave(self, call: Call) -> None:
        """The call was sent, and no answer will be waited for: it may have been billed."""
        ...


class Feedback(Protocol):
    """What a route is told while its answers are settled. What it does about it is its own.

    A route without a pace of its own has nothing to do for most of it.
    """

    @property
    def health(self) -> Health:
        """What the answers say of the provider, kept by settling.

        Where it doubts that anybody is served (:meth:`Health.is_probing`), a route sends one call
        at a time. A route whose answers take hours says so there: no silence of that length is an
        outage.
        """
        ...

    async def observe(self, sent: Sent, reply: Reply, used_tokens: int | None) -> None:
        """A whole answer came; ``used_tokens`` is what it took of the limit, where that is told."""
        ...

    async def pause(self, sent: Sent, pause: SharedPause) -> float | None:
        """A rate limit refused it: wait before anything else is sent.

        The call itself is queued again by settling. Returns for how many seconds everybody waits
        from now on, None where they do already, or need not.
        """
        ...

    def object_to(self, sent: Sent) -> None:
        """The provider could not serve it: fewer at once, perhaps."""
        ...

    def succeed(self) -> None:
        """The provider served one: more at once, perhaps."""
        ...

    def resume(self) -> None:
        """A result came: the next rate limit that names no time begins a new series of waits."""
        ...

    def probe_failed(self) -> None:
        """One that was sent in a doubt or an outage failed: wait before the next one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFigures:
    """What a route shows of itself.

    ``window`` is how many calls it would have in flight, ``waits`` how many had to wait for the
    limit so far, and ``wait_seconds`` how long, all together.
    """

    in_flight: int
    window: int
    limits: Limits = field(default_factory=Limits)
    waits: int = 0
    wait_seconds: float = 0.0


class Route(Protocol):
    """How the calls of one run get their answers."""

    @property
    def feedback(self) -> Feedback:
        """Who is told what the answers mean for the pace."""
        ...

    @property
    def figures(self) -> RouteFigures:
        """How things are now."""
        ...

    @property
    def wanting(self) -> int:
        """How many more calls the queue should hold. All that waits is in memory."""
        ...

    def open(self) -> AbstractContextManager[None]:
        """Have what the route needs of the process, for as long as calls may be in flight."""
        ...

    async def run(self, answers: AnswerTaker, hungry: Callable[[], None]) -> None:
        """Send the queue's calls and hand over their answers, until halted or cancelled.

        ``hungry`` is called when there is room for more calls than are queued. Where this is
        cancelled, each call in flight is left (:meth:`AnswerTaker.leave`), unless its answer can
        be had later.
        """
        ...

    def halt(self) -> None:
        """Send nothing more, from this moment on. May be called at any time, and again."""
        ...

    async def drain(self, grace_seconds: float) -> None:
        """Halt; take the answers that come within the grace time, and leave the other calls.

        Afterwards none is in flight here.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteNeeds:
    """What a route of one run is made of.

    ``name`` gives each request an id of its own; ``end`` stops the run.
    """

    job_id: str
    spec: JobSpec
    services: Services
    connection: Connection
    gate: SendGate
    requests: RequestParts
    keys: IdempotencyKeys
    name: Callable[[Call], str]
    end: Callable[[Ending], None]


MakeRoute = Callable[[RouteNeeds], Route]
"""Makes the route of a run; which one is the connection's choice."""
