"""What 429s have to do with the load: a limit that binds, or mere chance.

Below a limit there is peace. So 429s that go on although less is tried than was served before are
chance (a gateway's, an overloaded server's): to lower the rates for them is in vain, and would
bring them down to nothing. Knows no rates, only what was tried and what was served.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MEASURE_SECONDS = 1.0
"""Two 429s at least so far apart measure what is served."""
MEASURED_SECONDS = 120.0
"""How long what was served once stands against later, lesser measurements."""
IN_VAIN = 0.85
"""A 429 at less than this share of what was measured before: lowering did not help."""
PATIENCE = 2.0
"""After so many of these, 429s are taken for chance."""
PATIENCE_BACK = 0.5
"""What any other 429 takes off from their number."""
CHANCE_MOST = 0.15
"""Chance refuses no greater share than this."""
CHANCE_ANSWERS = 100.0
"""Over how many answers that share is averaged."""


@dataclass(slots=True, kw_only=True)
class Refusals:
    """What was served since a time, and how often it was in vain to lower the rates.

    Since ``at`` there were ``served`` answers; of the requests that were sent since then,
    ``served_since`` with ``tokens_since``. Where ``at`` was a 429 the provider's bucket was
    ``emptied`` then, and what was served until the next one is what it gained: the limit itself.
    ``measured`` is that, in the measure of what is tried (a rate, or a share of known limits);
    ``refused`` is the recent share of 429s among the answers.
    """

    at: float = -math.inf
    emptied: bool = False
    served: float = 0.0
    served_since: float = 0.0
    tokens_since: float = 0.0
    measured: float = 0.0
    refused: float = 0.0
    in_vain: float = 0.0

    @property
    def by_chance(self) -> bool:
        """Whether 429s come whatever is sent."""
        return self.in_vain >= PATIENCE

    def start(self, now: float, *, emptied: bool) -> None:
        """Measure anew what is served."""
        self.at, self.emptied = now, emptied
        self.served = self.served_since = self.tokens_since = 0.0

    def forget(self) -> None:
        """What was measured says nothing any more."""
        self.measured = self.in_vain = 0.0

    def count(self, tokens: float, send_at: float, *, admitted: bool) -> None:
        """Count an answer."""
        if admitted:
            self.refused -= self.refused / CHANCE_ANSWERS
            self.served += 1
            if send_at >= self.at:
                self.served_since += 1
                self.tokens_since += tokens
            return
        self.refused += (1.0 - self.refused) / CHANCE_ANSWERS
        if self.refused > CHANCE_MOST:
            self.forget()

    def judge(self, tried: float) -> None:
        """Note the first 429 of an epoch, at what was tried when it came."""
        if self.by_chance:
            return
        if tried < IN_VAIN * self.measured:
            self.in_vain += 1
        else:
            self.in_vain = max(0.0, self.in_vain - PATIENCE_BACK)

    def measure(self, now: float, request_rate: float, token_rate: float) -> float:
        """Take what was served for measured and start anew; returns it, in requests a second.

        The rates are what the measure is a share of, in units a second: 1 for requests and infinite
        for tokens where no limits are known.
        """
        seconds = max(now - self.at, 0.1)
        served = self.served / seconds
        if self.emptied:
            share = max(self.served_since / request_rate, self.tokens_since / token_rate) / seconds
            stands = self.measured * math.exp(-seconds / MEASURED_SECONDS)
            self.measured = max(share, stands)
        else:
            self.measured = 0.0  # the bucket held something, nobody knows how much
        self.start(now, emptied=True)
        return served
