"""Two clocks: Redis's, by which tickets are granted, and this process's, by which they are used.

Every call brackets the other clock between two readings of ours. Both bounds are kept, and each
direction takes the one that errs on the safe side: sending later, trusting a header less.
"""

from __future__ import annotations

import math
from typing import Final

_ROUNDING_SECONDS: Final = 1e-5
"""Bounds that contradict each other by less do so because times since 1970 are rounded."""


class ServerClock:
    """What is known of the difference between the clocks, in seconds."""

    def __init__(self) -> None:
        self._least = -math.inf
        self._most = math.inf

    def __repr__(self) -> str:
        return f"<ServerClock {self._least:g} to {self._most:g} behind>"

    def hear(self, asked_at: float, server: float, heard_at: float) -> None:
        """The server's clock showed a time between two of ours.

        Where that contradicts what was known, one of the clocks was set: begin anew.
        """
        least, most = asked_at - server, heard_at - server
        apart = max(least - self._most, self._least - most)
        if apart > _ROUNDING_SECONDS:
            self._least, self._most = least, most
        else:
            self._least, self._most = max(least, self._least), min(most, self._most)

    def here(self, server: float) -> float:
        """The latest that it may be here when the server shows a time."""
        return server + self._most

    def there(self, here: float) -> float:
        """The latest that the server may show at a time of ours."""
        return here - self._least
