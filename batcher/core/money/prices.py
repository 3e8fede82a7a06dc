"""What tokens cost, in exact arithmetic: prices per token in, money per request out.

Money inside is whole picodollars (1e-12 USD), so that sums over millions of rows are exact; a
``Decimal`` of dollars goes out. Where prices come from is an adapter's business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction

from batcher.core.errors import UsageError

PICO = 10**12
_MOST_PER_MILLION = 100_000
_PICO_PER_TOKEN = Decimal(PICO) / Decimal(10**6)  # one dollar per million tokens

TIER_FACTORS: Mapping[str, Fraction] = {
    "flex": Fraction(1, 2),
    "priority": Fraction(2),
    "fast": Fraction(2),
}
"""What a tier costs beside the standard one, where no price of its own is known.

Source: OpenAI's guides to flex processing and fast mode. Answers spell ``fast`` as ``priority``.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Picodollars per token of one answer, at the standard tier.

    ``prompt`` is for tokens that are neither read from the provider's cache (``cached_prompt``) nor
    written to it (``written_prompt``; None: as ``prompt``). ``reasoning`` is the part of the output
    that nobody sees (None: as ``completion``); ``request`` is for the answer itself. ``above`` is a
    number of prompt tokens and the price of requests that have more of them. ``tiers`` are the
    prices of other tiers, by the name that an answer gives them.
    """

    prompt: int
    cached_prompt: int
    completion: int
    written_prompt: int | None = None
    reasoning: int | None = None
    request: int = 0
    above: tuple[int, Price] | None = None
    tiers: Mapping[str, Price] = field(default_factory=dict, hash=False)

    @classmethod
    def per_million(
        cls,
        prompt: Decimal,
        completion: Decimal,
        cached_prompt: Decimal | None = None,
        written_prompt: Decimal | None = None,
    ) -> Price:
        """From dollars per million tokens, as providers list their prices."""
        cached = prompt if cached_prompt is None else cached_prompt
        return cls(
            prompt=per_token(prompt),
            cached_prompt=per_token(cached),
            completion=per_token(completion),
            written_prompt=None if written_prompt is None else per_token(written_prompt),
        )

    @classmethod
    def parse(cls, text: str) -> Price:
        """From ``IN,OUT`` or ``IN,OUT,CACHED,WRITTEN``: dollars per million tokens.

        Of the prompt, the output, and the parts of the prompt that are read from the provider's
        cache and written to it (as IN where they are not said).

        Raises:
            UsageError: the text is not two or four non-negative numbers, or one is beyond what is
                ever asked.
        """
        try:
            prices = [Decimal(part.strip()) for part in text.split(",")]
        except InvalidOperation:
            prices = []
        known = [one for one in prices if one.is_finite() and 0 <= one <= _MOST_PER_MILLION]
        if len(prices) not in (2, 4) or len(known) != len(prices):
            raise UsageError(
                "--price takes IN,OUT or IN,OUT,CACHED,WRITTEN in dollars per million tokens, like "
                f"0.15,0.60, each at most {_MOST_PER_MILLION}: {text!r}"
            )
        return cls.per_million(*prices)

    def with_usual_tiers(self) -> Price:
        """It with the tiers that have no price here at what they usually cost."""
        usual = {name: self._times(factor) for name, factor in TIER_FACTORS.items()}
        return replace(self, tiers={**usual, **self.tiers})

    def _times(self, factor: Fraction) -> Price:
        def scaled(rate: int) -> int:
            return int(rate * factor + Fraction(1, 2))

        return Price(
            prompt=scaled(self.prompt),
            cached_prompt=scaled(self.cached_prompt),
            completion=scaled(self.completion),
            written_prompt=None if self.written_prompt is None else scaled(self.written_prompt),
            reasoning=None if self.reasoning is None else scaled(self.reasoning),
            request=scaled(self.request),
            above=None if self.above is None else (self.above[0], self.above[1]._times(factor)),
        )

    def at(self, tier: str) -> Price:
        """The price of a tier; the standard one where the tier has none of its own."""
        return self.tiers.get(tier, self)

    def cost(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
        written_tokens: int = 0,
        reasoning_tokens: int = 0,
    ) -> int:
        """Picodollars for one answer of this tier.

        ``cached_tokens`` and ``written_tokens`` are parts of ``prompt_tokens``, and
        ``reasoning_tokens`` of ``completion_tokens``: never more than those.
        """
        if self.above is not None and prompt_tokens > self.above[0]:
            return self.above[1].cost(
                prompt_tokens, completion_tokens, cached_tokens, written_tokens, reasoning_tokens
            )
        cost = self.request + prompt_tokens * self.prompt + completion_tokens * self.completion
        cached = 0
        if cached_tokens > 0:
            cached = min(cached_tokens, prompt_tokens)
            cost += cached * (self.cached_prompt - self.prompt)
        if written_tokens > 0 and self.written_prompt is not None:
            cost += min(written_tokens, prompt_tokens - cached) * (
                self.written_prompt - self.prompt
            )
        if reasoning_tokens > 0 and self.reasoning is not None:
            cost += min(reasoning_tokens, completion_tokens) * (self.reasoning - self.completion)
        return cost

    def ceiling(self, tiers: Collection[str] = (), *, any_step: bool = False) -> Ceiling:
        """The most that answers may cost, at the standard tier or at one of ``tiers``.

        ``any_step``: whichever step they reach, whatever they are known to have.
        """
        possible = [self, *(self.at(tier) for tier in tiers)]
        steps = [step for price in possible for step in price._steps(0)]
        if any_step:
            steps = [(0, prompt, completion, request) for _, prompt, completion, request in steps]
        return Ceiling(tuple(dict.fromkeys(steps)))

    def _steps(self, start: int) -> Iterator[tuple[int, int, int, int]]:
        """From how many prompt tokens on, and the dearest rates from there."""
        written = self.prompt if self.written_prompt is None else self.written_prompt
        reasoning = self.completion if self.reasoning is None else self.reasoning
        prompt, completion = max(self.prompt, self.cached_prompt, written), self.completion
        yield start, prompt, max(completion, reasoning), self.request
        if self.above is not None:
            yield from self.above[1]._steps(self.above[0] + 1)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """An upper bound of what an answer costs: the dearest step, tier and kind of token.

    ``steps`` are numbers of prompt tokens from which on rates hold, and these: picodollars a prompt
    token, an output token and a request.
    """

    steps: tuple[tuple[int, int, int, int], ...]

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Picodollars, for at most so many tokens of each."""
        return max(
            [
                request + prompt_tokens * prompt + completion_tokens * completion
                for start, prompt, completion, request in self.steps
                if prompt_tokens >= start
            ]
        )


def shares(amount: int, weights: Collection[int]) -> list[int]:
    """An amount in parts by weights, which add up to it exactly (largest remainders first).

    Weights of 0 alone count as equal ones.
    """
    each = list(weights) if any(weights) else [1] * len(weights)
    total = sum(each)
    parts = [amount * weight // total for weight in each]
    left = amount - sum(parts)
    if left:
        remainders = [amount * weight % total for weight in each]
        for place in sorted(range(len(each)), key=lambda at: (-remainders[at], at))[:left]:
            parts[place] += 1
    return parts


def dollars(picousd: int) -> Decimal:
    """Picodollars as dollars, exact."""
    return (Decimal(picousd) / PICO).normalize() + Decimal(0)


def picodollars(usd: Decimal) -> int:
    """Dollars as whole picodollars, rounded half up."""
    return int((usd * PICO).to_integral_value(ROUND_HALF_UP))


def per_token(dollars_per_million: Decimal) -> int:
    """Dollars per million as picodollars for one, rounded half up."""
    return int((dollars_per_million * _PICO_PER_TOKEN).to_integral_value(ROUND_HALF_UP))
