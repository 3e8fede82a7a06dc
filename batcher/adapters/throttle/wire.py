"""What goes to the script in Redis and what comes back: letters and packed doubles.

Times are the script's here. Nothing of a row is in it: counts, times, and names of jobs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from batcher.core.throttle.bucket import MINUTE, Ticket, TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.sharing import Flow
from batcher.core.throttle.snapshot import Shown

_ABSENT = math.nan


class Operation(NamedTuple):
    """One thing for the script to do."""

    letter: bytes
    text: bytes = b""
    numbers: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The state of a quota, as every answer has it; times are the script's."""

    now: float
    epoch: int
    paused_until: float
    at: float
    requests: Shown
    tokens: Shown
    by_chance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is told to everyone: a pause, or a quota that begins anew."""

    now: float
    epoch: int
    paused_until: float


def reserve(
    flow: Flow, costs: Sequence[TokenDemand], ceilings: tuple[float | None, float | None]
) -> Operation:
    """Reserve, under ceilings of requests and tokens a minute; see :func:`tickets`."""
    rates = (math.inf if ceiling is None else ceiling / MINUTE for ceiling in ceilings)
    numbers = _pack(*rates, flow.weight, *(float(cost.tokens) for cost in costs))
    return Operation(b"R", flow.job.encode(), numbers)


def tickets(answer: bytes, costs: Sequence[TokenDemand]) -> tuple[list[Ticket], float | None]:
    """What a reservation was answered."""
    later, epoch, *numbers = _unpack(answer)
    found = [
        Ticket(numbers[i], int(epoch), cost, numbers[i + 1], numbers[i + 2])
        for i, cost in zip(range(0, len(numbers), 3), costs, strict=False)
    ]
    return found, None if math.isnan(later) else later


def give_back(given: Sequence[Ticket]) -> Operation:
    """Give tickets back."""
    numbers: list[float] = []
    for ticket in given:
        numbers += (ticket.epoch, ticket.cost.tokens, ticket.requests_through)
    return Operation(b"G", numbers=_pack(*numbers))


def settle(ticket: Ticket, seen: Observation, there: Callable[[float], float]) -> Operation:
    """Tell what an answer taught; ``there`` makes the script's times of ours."""
    return Operation(
        b"S",
        numbers=_pack(
            ticket.epoch,
            there(ticket.send_at),
            ticket.cost.tokens,
            ticket.requests_through,
            ticket.tokens_through,
            there(seen.sent_at),
            seen.admitted,
            _or_absent(seen.limit_requests),
            _or_absent(seen.limit_tokens),
            _or_absent(seen.remaining_requests),
            _or_absent(seen.remaining_tokens),
            _or_absent(seen.used_tokens),
            _or_absent(seen.reset_requests),
            _or_absent(seen.reset_tokens),
            seen.step,
            _or_absent(seen.retry_after),
        ),
    )


def pause(ticket: Ticket, until: float, *, slowly: bool) -> Operation:
    """Stop everyone; the answer is 1 where that began an epoch."""
    return Operation(b"P", numbers=_pack(ticket.epoch, until, slowly))


def began(answer: bytes) -> bool:
    """What a pause was answered."""
    return _unpack(answer)[0] == 1


LOOK = Operation(b"L")
"""Do nothing: the figures come with every answer."""


def figures(answer: bytes) -> Figures:
    """The first part of every answer."""
    now, epoch, paused_until, at, *shown = _unpack(answer)
    return Figures(
        now=now,
        epoch=int(epoch),
        paused_until=paused_until,
        at=at,
        requests=Shown(rate=shown[0], known=shown[1] == 1, flow=shown[2]),
        tokens=Shown(rate=shown[3], known=shown[4] == 1, flow=shown[5]),
        by_chance=shown[6] == 1,
    )


def news(message: bytes) -> News:
    """What was published."""
    now, epoch, paused_until = _unpack(message)
    return News(now=now, epoch=int(epoch), paused_until=paused_until)


def _pack(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


def _unpack(packed: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(packed) // 8}d", packed)


def _or_absent(number: float | None) -> float:
    return _ABSENT if number is None else number
