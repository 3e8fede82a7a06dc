"""What a status fault is: one line about it, and the answer it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batcher.simulator.replies import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultContext:
    """What an answer may say of the request that it refuses."""

    model: str
    param: str
    """`input` or `messages`."""
    text: str
    """The text with the marker; providers echo such texts in their messages."""
    key: str | None
    azure: bool
    wall: float
    """Seconds since 1970, for a `retry-after` that is a date."""


@dataclass(frozen=True, slots=True)
class StatusFault:
    """An answer other than 200, for the request as a whole."""

    summary: str
    """For the list that `batcher simulate --faults` prints."""
    reply: Callable[[FaultContext], Reply]
