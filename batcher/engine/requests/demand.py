"""What a call takes: of the token limit when it is admitted, and of the money at the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batcher.core.model import Doubt
from batcher.core.money.expected_tokens import OutputAllowance, PromptAllowance
from batcher.core.money.prices import TIER_FACTORS, Ceiling, Price
from batcher.core.throttle.bucket import TokenDemand
from batcher.engine.requests.output_limits import OutputLimits
from batcher.engine.shards.call import Call

_CHARACTERS_PER_TOKEN = 4
PROMPT_MARGIN_TOKENS = 16
_REPAIR_FRAME_TOKENS = 256
_PROJECTS_OWN = ("auto", None)  # as the provider's project is set up: any tier may serve


@dataclass(slots=True)
class Allowances:
    """How long outputs and prompts are to be expected, by the answers so far."""

    prompts: PromptAllowance
    output: OutputAllowance = field(default_factory=OutputAllowance)


class TierPrices:
    """What answers cost, by the tier that served them, which may be another than was asked for.

    An answer that names no tier is taken for the dearer of the one asked for and the standard.
    """

    def __init__(
        self, price: Price | None, tier: str | None, params: Mapping[str, Any], *, any_step: bool
    ) -> None:
        """``tier`` is asked for by option, or within ``params``; ``price`` None is not known.

        ``any_step``: a request of many pieces may reach any step of the price.
        """
        self._price = price
        self._unnamed: Price | None = None
        self.ceiling: Ceiling | None = None
        if price is None:
            return
        asked = tier if tier is not None else params.get("service_tier")
        possible = TIER_FACTORS if asked in _PROJECTS_OWN else (str(asked),)
        self.ceiling = price.ceiling(possible, any_step=any_step)
        named = price.at(str(asked))
        dearer = named.ceiling().cost(1, 1) > price.ceiling().cost(1, 1)
        self._unnamed = named if dearer else price

    @property
    def are_known(self) -> bool:
        """Whether it is known what an answer costs."""
        return self._price is not None

    def of(self, tier: object) -> Price | None:
        """The price of answers that name this tier as the one that served; None: not known."""
        if self._price is None:
            return None
        if isinstance(tier, str) and tier:
            return self._price.at(tier.strip().lower())
        return self._unnamed


class LimitDemand:
    """What calls take of the token limit."""

    def __init__(
        self,
        output_limits: OutputLimits,
        allowances: Allowances,
        *,
        fixed_texts: Sequence[str],
        charges_prompt_too: bool,
    ) -> None:
        """``fixed_texts`` are in each request; ``charges_prompt_too`` is Azure's rule."""
        self._limits = output_limits
        self._allowances = allowances
        self._fixed_characters = sum(map(len, fixed_texts))
        self._charges_prompt_too = charges_prompt_too

    def of(self, call: Call) -> TokenDemand:
        """What the provider takes from the token limit when it admits the call.

        OpenAI: "the maximum of max_tokens and the estimated number of tokens based on the
        character count of your request". Azure: prompt and max_tokens. Where no limit of the
        output is sent: the prompt and the output that is usual.
        """
        limits = self._limits
        limit = limits.of(call.parameters, len(call.pieces)) if limits.vary else limits.usual
        if limit is None:
            return TokenDemand(call.tokens + self._allowances.output.tokens)
        if limit == 0 or self._charges_prompt_too:
            return TokenDemand(call.tokens + limit)
        characters = sum([len(text) for prompt in call.prompts() for text in prompt])
        characters += self._fixed_characters
        counted = -(-characters // _CHARACTERS_PER_TOKEN)
        if call.shard.asked.attachments is not None:
            counted = max(counted, call.tokens)  # with its files
        return TokenDemand(max(limit, counted))


class WorstCase:
    """What requests may cost at the most."""

    def __init__(
        self,
        ceiling: Ceiling | None,
        output_limits: OutputLimits,
        allowances: Allowances,
        *,
        fixed_tokens: int = 0,
    ) -> None:
        """``ceiling`` is None where no price is known: then nothing costs anything.

        ``fixed_tokens`` are those of a request besides its pieces.
        """
        self._ceiling = ceiling
        self._limits = output_limits
        self._allowances = allowances
        self.fixed_tokens = fixed_tokens

    def of_call(self, call: Call) -> int:
        """Picodollars that a call may cost at the most; a repair carries the answer to be mended.

        No text has more tokens than bytes.
        """
        if self._ceiling is None:
            return 0
        tokens = call.tokens
        if call.repair is not None:
            texts = (call.repair.answer, call.repair.message)
            tokens += sum([len(text.encode(errors="replace")) for text in texts])
            tokens += _REPAIR_FRAME_TOKENS
        return self._cost(tokens, self._output_tokens(call, len(call.pieces)))

    def of_pieces(self, call: Call, pieces: Sequence[int]) -> int:
        """Picodollars that some pieces of a call may cost at the most, until they are settled.

        They are one request, unless its parts have begun to go apart: then each may go alone.
        """
        if self._ceiling is None:
            return 0
        planned = call.shard.plan.tokens
        if len(pieces) > 1 and call.unit_index in call.shard.worklist.divided:
            output = self._output_tokens(call, 1)
            return sum([self._cost(self.fixed_tokens + planned[one], output) for one in pieces])
        tokens = self.fixed_tokens + sum([planned[piece] for piece in pieces])
        return self._cost(tokens, self._output_tokens(call, len(pieces)))

    def doubt(self, call: Call) -> Doubt:
        """What the call may have been billed at the most, all of its pieces being in doubt."""
        return Doubt(
            requests=1,
            pieces=len(call.pieces),
            tokens=call.tokens + self._output_tokens(call, len(call.pieces)),
            cost_picousd=self.of_call(call),
        )

    def _cost(self, prompt_tokens: int, output_tokens: int) -> int:
        """What one request may cost.

        The dearest that it may become: its prompt written to the cache, the output as long as it
        may be, in the dearest tier that may serve it and the price step that it reaches.
        """
        assert self._ceiling is not None
        return self._ceiling.cost(self._allowances.prompts.of(prompt_tokens), output_tokens)

    def _output_tokens(self, call: Call, pieces: int) -> int:
        limits = self._limits
        limit = limits.of(call.parameters, pieces) if limits.vary else limits.usual
        return limit if limit is not None else self._allowances.output.most
