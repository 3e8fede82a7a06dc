"""From a run's live counters to what people want to know: how fast, how long, how dear.

Arithmetic alone: the time is passed in, nothing is drawn here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from batcher.core.money.prices import dollars

if TYPE_CHECKING:
    from batcher.engine.telemetry.run_stats import RunStats

_SPAN_SECONDS = 10.0
_SETTLED_SECONDS = 0.5
_BINDING_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A run at one moment.

    ``rows_per_second`` is of the last ten seconds; ``seconds_left`` is None while nothing is known,
    and heeds a limit that is in use: a burst at the start does not go on.
    Shares are of the limit in use, None where there is none. ``projected`` is the whole job's cost
    at the present cost of a row; costs are None where no price is known.
    """

    phase: str
    rows: int
    done: int
    failed: int
    done_now: int
    seconds: float
    rows_per_second: float
    seconds_left: float | None
    planned_share: float
    requests_share: float | None
    tokens_share: float | None
    requests_per_minute: float | None
    tokens_per_minute: float | None
    rate_limited: int
    retried: int
    last_fault: str
    last_limit: str
    in_flight: int
    window: int
    requests: int
    tokens: int
    cost: Decimal | None
    projected: Decimal | None
    pause_seconds: float
    outage: bool
    unreached: str

    @property
    def left(self) -> int:
        """Rows without a result or a dead letter."""
        return max(0, self.rows - self.done - self.failed)


class Gauge:
    """Reads a run's counters from time to time; remembers what the speed takes."""

    def __init__(self, live: RunStats) -> None:
        self._live = live
        self._seen: deque[tuple[float, int]] = deque([(live.started_at, 0)])
        self._done = 0
        self._row_cost: Decimal | None = None

    def read(self, now: float) -> Reading:
        """The figures at ``now``, on the monotonic clock."""
        live, base = self._live, self._live.base
        settled = live.rows_done + live.dead
        self._seen.append((now, settled))
        while self._seen[1][0] < now - _SPAN_SECONDS:
            self._seen.popleft()
        speed = self._speed(now)
        done, failed = base.rows_done + live.rows_done, base.rows_failed + live.dead
        left = max(0, live.rows - done - failed)
        usage = base.usage + live.usage
        cost = dollars(usage.cost_picousd) if live.priced else None
        limits = live.limits
        return Reading(
            phase=live.phase,
            rows=live.rows,
            done=done,
            failed=failed,
            done_now=live.rows_done,
            seconds=max(0.0, now - live.started_at),
            rows_per_second=speed,
            seconds_left=self._seconds_left(left, speed),
            planned_share=min(1.0, live.rows_planned / live.rows) if live.rows else 1.0,
            requests_share=None if limits.requests_per_minute is None else limits.requests_share,
            tokens_share=None if limits.tokens_per_minute is None else limits.tokens_share,
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
            rate_limited=live.rate_limited,
            retried=live.retried,
            last_fault=live.last_fault,
            last_limit=live.last_limit,
            in_flight=live.in_flight,
            window=live.window,
            requests=usage.requests,
            tokens=usage.prompt_tokens + usage.completion_tokens,
            cost=cost,
            projected=self._project(cost, done),
            pause_seconds=max(0.0, (limits.paused_until or now) - now),
            outage=live.outage,
            unreached=live.unreached,
        )

    def _seconds_left(self, left: int, speed: float) -> float | None:
        """At the present speed, or at that of a limit which binds, if that takes longer."""
        if speed <= 0:
            return None
        live, limits = self._live, self._live.limits
        rows = live.rows_done + live.dead
        seconds = [left / speed]
        for share, per_minute, used in (
            (limits.requests_share, limits.requests_per_minute, live.usage.requests),
            (
                limits.tokens_share,
                limits.tokens_per_minute,
                live.usage.prompt_tokens + live.usage.completion_tokens,
            ),
        ):
            if per_minute and rows and share >= _BINDING_SHARE:
                seconds.append(left * used / rows * 60.0 / per_minute)
        return max(seconds)

    def _project(self, cost: Decimal | None, done: int) -> Decimal | None:
        """The cost of all rows; judged when rows are checkpointed, which is after they are paid."""
        if cost is not None and done > self._done:
            self._done = done
            self._row_cost = cost / done
        return None if self._row_cost is None else self._row_cost * self._live.rows

    def _speed(self, now: float) -> float:
        first_at, first = self._seen[0]
        _, last = self._seen[-1]
        elapsed = now - first_at
        return (last - first) / elapsed if elapsed >= _SETTLED_SECONDS else 0.0
