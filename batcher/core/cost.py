"""What tokens cost, in exact arithmetic: prices per token in, money per request out.

Money inside is whole picodollars (1e-12 USD), so that sums over millions of rows are exact; a
``Decimal`` of dollars goes out. Where prices come from is an adapter's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from batcher.core.errors import UsageError

PICO = 10**12
_PICO_PER_TOKEN = Decimal(PICO) / Decimal(10**6)  # one dollar per million tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Picodollars per token: prompt, prompt read from the provider's cache, completion.

    ``above`` is a number of prompt tokens and the price of requests that have more of them.
    """

    prompt: int
    cached_prompt: int
    completion: int
    above: tuple[int, Price] | None = None

    @classmethod
    def per_million(
        cls, prompt: Decimal, completion: Decimal, cached_prompt: Decimal | None = None
    ) -> Price:
        """From dollars per million tokens, as providers list their prices."""
        cached = prompt if cached_prompt is None else cached_prompt
        return cls(
            prompt=_per_token(prompt),
            cached_prompt=_per_token(cached),
            completion=_per_token(completion),
        )

    @classmethod
    def parse(cls, text: str) -> Price:
        """From ``IN,OUT``: dollars per million prompt and completion tokens.

        Raises:
            UsageError: the text is not two non-negative numbers.
        """
        try:
            prompt, completion = (Decimal(part.strip()) for part in text.split(","))
        except (InvalidOperation, ValueError):
            prompt = completion = Decimal("NaN")
        if not (prompt.is_finite() and completion.is_finite() and min(prompt, completion) >= 0):
            raise UsageError(
                f"--price takes IN,OUT in dollars per million tokens, like 0.15,0.60: {text!r}"
            )
        return cls.per_million(prompt, completion)

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> int:
        """Picodollars for one answer; ``cached_tokens`` are part of ``prompt_tokens``."""
        if self.above is not None and prompt_tokens > self.above[0]:
            return self.above[1].cost(prompt_tokens, completion_tokens, cached_tokens)
        cached = min(max(cached_tokens, 0), prompt_tokens)
        return (
            (prompt_tokens - cached) * self.prompt
            + cached * self.cached_prompt
            + completion_tokens * self.completion
        )


def dollars(picousd: int) -> Decimal:
    """Picodollars as dollars, exact."""
    return (Decimal(picousd) / PICO).normalize() + Decimal(0)


def picodollars(usd: Decimal) -> int:
    """Dollars as whole picodollars, rounded half up."""
    return int((usd * PICO).to_integral_value(ROUND_HALF_UP))


def _per_token(dollars_per_million: Decimal) -> int:
    return int((dollars_per_million * _PICO_PER_TOKEN).to_integral_value(ROUND_HALF_UP))
