"""How many output tokens to expect where no limit is sent: a high percentile of those observed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_UNKNOWN_TOKENS = 256
_FEW_TOKENS = 64
_REMEMBERED = 512
_EVERY = 32


@dataclass(slots=True)
class OutputAllowance:
    """The 95th percentile of the last 512 outputs, in tokens; 256 before anything is known.

    The first answers say little: of fewer than 16, twice the longest, at least 64.

    ``most`` is for what may have been billed unseen: twice the longest output, at least 256.
    """

    tokens: int = _UNKNOWN_TOKENS
    most: int = _UNKNOWN_TOKENS
    _seen: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _count: int = 0

    def observe(self, completion_tokens: int) -> None:
        """One answer's output."""
        self._seen.append(completion_tokens)
        self._count += 1
        self.most = max(self.most, 2 * completion_tokens)
        if self._count in (1, 4):
            self.tokens = max(_FEW_TOKENS, 2 * max(self._seen))
        elif self._count == 16 or self._count % _EVERY == 0:
            ordered = sorted(self._seen)
            self.tokens = max(1, ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)])
