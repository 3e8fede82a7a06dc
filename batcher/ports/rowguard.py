"""A limit of time on what is done for one row by code that may be anybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class RowOverran(Exception):
    """The row took too long; what was done for it is undone. ``seconds`` is how long was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class GuardStopped(Exception):
    """The guard was stopped: nothing more is wanted."""


class RowGuard(Protocol):
    """Calls a function for each row, in one thread at a time, and ends a call that overruns.

    A call is ended between two steps of the interpreter: an operation of C is not torn.
    """

    def call(self, work: Callable[[T], R], row: T) -> R:
        """What ``work`` returns or raises for the row.

        Raises:
            RowOverran: it took too long.
            GuardStopped: :meth:`stop` was called, before or meanwhile.
        """
        ...

    def stop(self) -> None:
        """End what is going on, from any thread, and let nothing more begin; idempotent."""
        ...


class NoGuard:
    """Calls, and never ends a call."""

    def __init__(self) -> None:
        self._stopped = False

    def call(self, work: Callable[[T], R], row: T) -> R:
        """See :class:`RowGuard`."""
        if self._stopped:
            raise GuardStopped
        return work(row)

    def stop(self) -> None:
        """See :class:`RowGuard`; a call that is going on is not ended."""
        self._stopped = True
