"""How probable a label is among the labels, from an answer's logprobs.

A server that keeps to a schema gives nothing but labels any probability, or tells those that the
model had before; one that does not keep to it lets the model say anything. What is compared is only
what leads to one of the labels, so that both come to the same share.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """A token of an answer, its log probability, and others that might have stood there."""

    text: str
    logprob: float
    others: Sequence[tuple[str, float]] = ()


def label_share(tokens: Sequence[TokenChoice], label: str, labels: Sequence[str]) -> float | None:
    """The label's probability over that of all labels; None where it cannot be told.

    Token for token, it is the part of what leads to a label that leads to this one. Where the
    answer does not say what else might have stood there, it is the joint probability of the tokens
    that spell the label. The label is where it stands last in the answer.
    """
    text = "".join(token.text for token in tokens)
    place = _last_place(text, label)
    if place is None:
        return None
    start, label_end, spell = place
    end = label_end
    rivals = [spell(other) for other in labels if other != label]
    if text[end : end + 1] == '"':
        end += 1  # the label's end is what tells it from a longer one
        rivals = [f'{rival}"' for rival in rivals]
    fold = str.lower if spell is _lower else str
    target = fold(text[start:end])
    share, at, compared = 1.0, 0, False
    for token in tokens:
        if at < end and at + len(token.text) > start:
            if not math.isfinite(token.logprob):
                return None
            begun, lead = fold(text[start:at]), text[at:start]
            mass, elsewhere = _probability(token.logprob), 0.0
            for other, logprob in token.others:
                if other == token.text or not other.startswith(lead) or len(other) == len(lead):
                    continue
                reached = begun + fold(other[len(lead) :])
                if _leads(reached, target):
                    mass += _probability(logprob)
                elif any(_leads(reached, rival) for rival in rivals):
                    elsewhere += _probability(logprob)
            compared = compared or bool(token.others)
            share *= mass / (mass + elsewhere) if mass else 0.0
        at += len(token.text)
    return round(share, 6) if compared else _joint(tokens, start, label_end)


def _joint(tokens: Sequence[TokenChoice], start: int, end: int) -> float:
    """The probability of all tokens that overlap this part of the text."""
    total, at = 0.0, 0
    for token in tokens:
        if at < end and at + len(token.text) > start:
            total += token.logprob
        at += len(token.text)
    return round(_probability(total), 6)


def _leads(reached: str, label: str) -> bool:
    """Whether what was said so far is the beginning of a label, or all of it and something else."""
    if reached.startswith(label):
        return not reached[len(label) : len(label) + 1].isalnum()
    return label.startswith(reached)


def _probability(logprob: float) -> float:
    return math.exp(min(logprob, 0.0)) if not math.isnan(logprob) else 0.0


def _last_place(text: str, label: str) -> tuple[int, int, Callable[[str], str]] | None:
    """Where a label stands last in a text, and how: as it is, as JSON has it, or in another case.

    JSON may or may not escape what is not ASCII.
    """
    for spell in (str, _as_json, _as_ascii):
        spelled = spell(label)
        if (start := text.rfind(spelled)) >= 0:
            return start, start + len(spelled), spell
    lowered = text.lower()
    start = lowered.rfind(label.lower()) if len(lowered) == len(text) else -1
    return None if start < 0 else (start, start + len(label.lower()), _lower)


def _as_json(label: str) -> str:
    return json.dumps(label, ensure_ascii=False)[1:-1]


def _as_ascii(label: str) -> str:
    return json.dumps(label)[1:-1]


def _lower(label: str) -> str:
    return label.lower()
