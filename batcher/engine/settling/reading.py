"""What a good answer holds: what it cost, and what the kind makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import orjson

from batcher.core.errors import KindFailed
from batcher.core.failures.unusable import FIRST_ANSWERS
from batcher.core.kind import (
    BoundKind,
    Broken,
    Done,
    Invalid,
    Outcome,
    Refused,
)
from batcher.core.kind_optional import TakesTextViews
from batcher.core.model import Bill, Usage
from batcher.core.money import usage
from batcher.core.money.prices import shares
from batcher.core.text import lenient
from batcher.core.text.redaction import redact, told_code, told_name
from batcher.engine.requests.demand import Allowances, TierPrices
from batcher.engine.settling import text_views
from batcher.engine.shards.call import Call
from batcher.engine.shards.results import encode_result
from batcher.ports import Reply, Tokenizer

_KNOWN_KEYS = frozenset({"error", "choices", "data"})
_MODEL_CHARACTERS = 200
_EXAMPLE_CHARACTERS = 160

KeptOutcome: TypeAlias = bytes | Broken | Refused | Invalid
"""What comes of a piece; a result as the bytes that are kept."""


def read_answer(reply: Reply, views: str = "") -> dict[str, Any] | None:
    """The JSON object that a good answer is, read leniently if need be; None where it is none.

    ``views`` names the members whose texts are read as views of the body (:mod:`.text_views`).
    """
    try:
        answer = text_views.loads(reply.body, views) if views else orjson.loads(reply.body)
        if isinstance(answer, str):  # an object that a gateway wrote as a text once more
            answer = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return lenient.read_object(reply.body, reply.headers.get("content-type", ""))
    if isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], dict):
        only = answer[0]  # Google's way with errors
        answer = only if only.keys() & _KNOWN_KEYS else answer
    return answer if isinstance(answer, dict) else None


class UsageReader:
    """Reads what the answers of one run cost, and learns from it how long prompts and outputs are.

    Where an answer does not say how many tokens it took, they are counted here.
    """

    def __init__(
        self,
        prices: TierPrices,
        allowances: Allowances,
        tokenizer: Tokenizer,
        *,
        free_output: bool,
    ) -> None:
        """``free_output``: answers have no tokens that could be billed."""
        self._prices = prices
        self._allowances = allowances
        self._tokenizer = tokenizer
        self._free_output = free_output

    def read(self, answer: Mapping[str, Any], call: Call) -> Usage:
        """What the answer says it cost, at the price of the tier that served it."""
        stated = usage.read_usage(usage.stated_usage(answer))
        prompt, completion = stated.prompt, stated.completion
        if not prompt and not completion and call.tokens:
            prompt = completion = None  # no prompt takes nothing: a gateway that does not count
        silent = prompt is None
        if prompt is None:
            prompt = call.tokens
        elif call.repair is None:
            self._allowances.prompts.observe(call.tokens, prompt)
        if completion is None:
            silent = silent or not self._free_output
            completion = self._count_output(answer)
        if completion:
            self._allowances.output.observe(completion)
        price = self._prices.of(answer.get("service_tier"))
        return Usage(
            requests=1,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=stated.cached,
            written_tokens=stated.written,
            reasoning_tokens=stated.reasoning,
            unstated=int(silent),
            cost_picousd=(
                0
                if price is None
                else price.cost(prompt, completion, stated.cached, stated.written, stated.reasoning)
            ),
            stated_picousd=stated.cost_picousd or 0,
        )

    def _count_output(self, answer: Mapping[str, Any]) -> int:
        """Tokens of an answer that does not say how many it has, as we count them."""
        texts = () if self._free_output else usage.output_texts(answer)
        return sum(self._tokenizer.count(texts)) if texts else 0


class AnswerReader:
    """Reads the good answers of one run."""

    def __init__(
        self, usage_reader: UsageReader, bound: BoundKind, kind: str, secrets: tuple[str, ...]
    ) -> None:
        """``kind`` is the kind's name; ``secrets`` are struck from what answers say."""
        self.usage = usage_reader.read
        self._bound = bound
        self._views = bound.text_views if isinstance(bound, TakesTextViews) else ""
        self._kind = kind
        self._secrets = secrets

    def answer(self, reply: Reply) -> dict[str, Any] | None:
        """The JSON object that a good answer is; None where it is none."""
        return read_answer(reply, self._views)

    def outcomes(self, answer: Mapping[str, Any], call: Call) -> list[KeptOutcome]:
        """One outcome for each of the call's pieces.

        Raises:
            KindFailed: the kind cannot read the answer.
        """
        return read_outcomes(self._bound, answer, call, kind=self._kind, secrets=self._secrets)

    def clean(self, message: str) -> str:
        """The message without secrets."""
        return redact(message, self._secrets)


def make_bill(answer: Mapping[str, Any], call: Call, usage: Usage, *, priced: bool) -> Bill:
    """What the answer cost, shared out to the call's pieces by their planned tokens."""
    planned = call.shard.plan.tokens
    weights = [planned[piece] for piece in call.pieces]
    model = answer.get("model")
    return Bill(
        pieces=call.pieces,
        prompt_tokens=shares(usage.prompt_tokens, weights),
        completion_tokens=shares(usage.completion_tokens, weights),
        costs=shares(usage.cost_picousd, weights) if priced else None,
        model=model[:_MODEL_CHARACTERS] if isinstance(model, str) else None,
    )


def read_outcomes(
    bound: BoundKind,
    answer: Mapping[str, Any],
    call: Call,
    *,
    kind: str,
    secrets: tuple[str, ...] = (),
) -> list[KeptOutcome]:
    """One outcome for each of the call's pieces, as the kind named ``kind`` reads the answer.

    A result comes as the bytes that are kept of it.

    ``secrets`` are struck from what the answer says of itself and from what the kind says of it;
    what it says to the row is the user's, whatever it is.

    Raises:
        KindFailed: it raised something, or returned what cannot be kept.
    """
    try:
        outcomes = list(bound.parse(strike(answer, secrets), len(call.pieces)))
    except Exception as error:
        raise KindFailed.raised(kind, "parse", error) from error
    try:
        if len(outcomes) != len(call.pieces):
            raise ValueError(f"{len(outcomes)} outcomes for {len(call.pieces)} pieces")
        return [_kept(bound, outcome, secrets) for outcome in outcomes]
    except ValueError as error:
        raise KindFailed(kind, f"cannot go on, its parse returned {error}") from error


def strike(answer: Mapping[str, Any], secrets: tuple[str, ...]) -> Mapping[str, Any]:
    """The answer, without keys in its own words: ``finish_reason``, ``model``, ``service_tier``."""
    changed: dict[str, Any] = {}
    for name, told in _TOLD.items():
        word = answer.get(name)
        if isinstance(word, str) and (clean := told(word, secrets)) != word:
            changed[name] = clean
    choices = answer.get("choices")
    if isinstance(choices, list):
        for at, choice in enumerate(choices):
            if isinstance(choice, dict) and (reasons := _strike_reasons(choice, secrets)):
                kept = changed.setdefault("choices", list(choices))
                kept[at] = {**choice, **reasons}
    return {**answer, **changed} if changed else answer


def _strike_reasons(said: Mapping[str, Any], secrets: tuple[str, ...]) -> dict[str, Any]:
    """What changes of a choice's reasons to end, so that none of them holds a key."""
    changed: dict[str, Any] = {}
    for name in _REASONS:
        reason = said.get(name)
        if isinstance(reason, dict):
            if clean := _strike_reasons(reason, secrets):
                changed[name] = {**reason, **clean}
        elif isinstance(reason, str) and reason not in _PLAIN:
            clean_reason = told_code("_".join(reason.split()), secrets)
            if clean_reason != reason:
                changed[name] = clean_reason
    return changed


_PLAIN = frozenset({"stop", "length", "tool_calls", "content_filter"})
_REASONS = ("finish_reason", "native_finish_reason", "provider_specific_fields", "type", "reason")
_TOLD = {"model": told_name, "service_tier": told_code}


def _kept(bound: BoundKind, outcome: Outcome, secrets: tuple[str, ...]) -> KeptOutcome:
    """An outcome as it is kept.

    Raises:
        ValueError: it cannot be; says what it is.
    """
    if isinstance(outcome, Done):
        return encode_result(bound.fields, outcome.value)
    if not isinstance(outcome, Broken | Refused | Invalid):
        raise ValueError(f"an outcome that is a {type(outcome).__name__}")
    return replace(
        outcome,
        code=told_code(outcome.code, secrets),
        message=redact(outcome.message, secrets),
    )


def all_invalid(last: Invalid, secrets: Sequence[str]) -> str:
    """Why a run stops whose first answers are all invalid, with the last one as an example."""
    said = f"each of the first {FIRST_ANSWERS} answers is invalid: {last.message}"
    example = "".join(
        character if character.isprintable() else "\ufffd"
        for character in redact(last.answer, secrets)
    )
    if not example or "--max-tokens" in last.message:
        return said
    if len(example) > _EXAMPLE_CHARACTERS:
        example = f"{example[: _EXAMPLE_CHARACTERS - 1]}…"
    return (
        f'{said}, as in "{example}"; the server may not enforce the form of answers '
        "(response_format): try another model, or tell it the form in its instructions"
    )


def none_usable(message: str) -> str:
    """Why a run stops whose answers hold no result."""
    return f"one answer after the other is paid for and cannot be used: {message}"
