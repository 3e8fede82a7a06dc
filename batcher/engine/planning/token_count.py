"""How many tokens a kind's pieces take: their texts, and what frames them."""

from __future__ import annotations

from collections.abc import Sequence

from batcher.core.kind import BoundKind
from batcher.core.kind_optional import framing_of
from batcher.core.model import Prompt
from batcher.ports import Tokenizer


class TokenCount:
    """Tokens of pieces, and of what every request carries besides them.

    ``fixed`` is what a request takes that carries nothing yet. Where a request carries one piece it
    is counted as that piece's, so that a plan says what each request takes; where it may carry many
    it is the request's own (:attr:`batcher.core.limits.RequestLimits.fixed_tokens`). ``added`` is
    what comes to the tokens of a piece of one text.
    """

    def __init__(self, bound: BoundKind, tokenizer: Tokenizer) -> None:
        """``bound`` says what every request carries besides its prompts."""
        framing = framing_of(bound)
        fixed = sum(tokenizer.count(bound.fixed_texts)) if bound.fixed_texts else 0
        self._tokenizer = tokenizer
        self._text = framing.text
        self.fixed = fixed + framing.request + framing.text * len(bound.fixed_texts)
        self._piece = 0 if bound.packs else self.fixed
        self.added = self._piece + framing.text

    def of(self, prompts: Sequence[Prompt]) -> list[int]:
        """The tokens of each prompt as a piece."""
        if all(len(prompt) == 1 for prompt in prompts):
            counts = self._tokenizer.count([prompt[0] for prompt in prompts])
            return [count + self.added for count in counts] if self.added else counts
        each = iter(self._tokenizer.count([text for prompt in prompts for text in prompt]))
        return [self._piece + sum(next(each) + self._text for _ in prompt) for prompt in prompts]
