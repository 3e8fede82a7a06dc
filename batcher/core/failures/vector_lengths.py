"""When a length may be believed: two different requests must have given vectors of it.

One answer can be wrong as a whole, by a router that sent it to another model; and what asks again
gets the same wrong answer again. So every request has one vote, that of its last answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT", bound=Hashable)


class Agreement(Generic[RequestT]):
    """The votes for a length, from whatever tells requests apart."""

    def __init__(self) -> None:
        """No votes."""
        self._votes: dict[RequestT, int] = {}

    def __repr__(self) -> str:
        """How many requests gave which lengths."""
        lengths = list(self._votes.values())
        counts = {length: lengths.count(length) for length in dict.fromkeys(lengths)}
        return f"<Agreement {counts}>"

    def vote(self, request: RequestT, length: int) -> None:
        """What a request's last answer has; it is the newest vote now."""
        self._votes.pop(request, None)
        self._votes[request] = length

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths that anybody gave."""
        return tuple(dict.fromkeys(self._votes.values()))

    @property
    def agreed(self) -> int | None:
        """The length that two requests gave, or None."""
        seen: set[int] = set()
        for length in self._votes.values():
            if length in seen:
                return length
            seen.add(length)
        return None

    def withdraw_oldest(self) -> RequestT:
        """Forget the oldest vote; returns whose it was, to be asked again where nobody agrees.

        Raises:
            KeyError: there are no votes.
        """
        if not self._votes:
            raise KeyError("no votes")
        oldest = next(iter(self._votes))
        del self._votes[oldest]
        return oldest
