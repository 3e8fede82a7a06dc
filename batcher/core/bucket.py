"""The throttle's arithmetic: when the next request may be sent so that no limit is ever exceeded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request takes from the buckets: always one request, and these tokens."""

    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The right to send one request at ``send_at``, unless a later epoch has begun.

    ``requests_through`` and ``tokens_through`` count everything ever reserved, this ticket's cost
    included: what was reserved after it is a difference of two such numbers.
    """

    send_at: float
    epoch: int
    cost: Cost
    requests_through: float
    tokens_through: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one answer said of the limits; None where it said nothing.

    ``sent_at`` is when the request was really sent (monotonic); ``admitted`` is False for a 429.
    ``used_tokens`` is the usage in the answer's body, prompt and completion together.
    """

    sent_at: float
    admitted: bool
    limit_requests: float | None = None
    limit_tokens: float | None = None
    remaining_requests: float | None = None
    remaining_tokens: float | None = None
    used_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force, for display.

    Rates are None where there is no limit; shares are of the limit in use, 0 to 1.
    ``paused_until`` is on the monotonic clock, None where there is no pause.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    requests_share: float = 0.0
    tokens_share: float = 0.0
    paused_until: float | None = None
