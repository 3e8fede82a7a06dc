"""How many tokens to expect: of an output without a limit, and of a prompt as a provider counts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil

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


@dataclass(slots=True)
class PromptAllowance:
    """How many tokens a provider may count of a prompt that we counted.

    A server may have another tokenizer, which shows as a factor in prompts that are not short, and
    put words of its own before each prompt: the rest, at least ``margin``. Both only grow.
    """

    margin: int
    _factor: float = 1.0

    def observe(self, counted: int, stated: int) -> None:
        """One answer's prompt, as we counted it and as the provider did."""
        if stated <= counted + self.margin and self._factor == 1.0:
            return
        if counted >= _FEW_TOKENS or not self.margin:
            self._factor = max(self._factor, stated / max(counted, 1))
        if self.margin:
            self.margin = max(self.margin, stated - int(counted * self._factor))

    def of(self, counted: int) -> int:
        """The most that a prompt may be counted as."""
        if self._factor == 1.0:
            return counted + self.margin
        return ceil(counted * self._factor) + self.margin
