"""Results: what a provider answers when nothing is wrong, and what it spoils when asked to.

The content of an answer is a pure function of the request; `created` and the ids are not
content. Faults that change a result (`faults.RESULT_FAULTS`) are applied here.
"""

from __future__ import annotations

import math
import re
from binascii import b2a_base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from batcher.simulator.config import SimulatorConfig
from batcher.simulator.faults.due import DueFault
from batcher.simulator.requests.chat_call import ChatCall
from batcher.simulator.requests.embeddings_call import EmbeddingsCall
from batcher.simulator.requests.response_format import Schema, invalid_schema
from batcher.simulator.results.choices import Choices
from batcher.simulator.results.instances import InstanceMaker
from batcher.simulator.results.vectors import vectors
from batcher.simulator.results.words import WORDS

_SPACED = tuple(" " + word for word in WORDS)
_JSON_TOKEN = re.compile(r"\s*[A-Za-z]{1,8}|\d{1,3}|[^A-Za-z\d]{1,3}")
_NO_NUMBERS = {"nan": np.nan, "inf": np.inf}
_REFUSAL = "I'm sorry, but I can't help with that request."


def embeddings_body(
    call: EmbeddingsCall, due: Sequence[DueFault] = (), *, stated: bool = True
) -> bytes:
    """Return the body of an embeddings answer; `stated` is whether it says its usage."""
    names = {fault.name for fault in due}
    dimensions = max(1, call.dimensions // 2) if "other_model" in names else call.dimensions
    rows = vectors(call.inputs, call.model, dimensions)
    encoded: list[Any] = list(rows)
    for fault in due:
        if fault.name in _NO_NUMBERS:
            encoded[fault.index] = rows[fault.index].copy()
            encoded[fault.index][0] = _NO_NUMBERS[fault.name]
        elif fault.name == "wrong_dimension":
            encoded[fault.index] = np.append(rows[fault.index], rows[fault.index][:1])
    if call.base64:
        encoded = [b2a_base64(row, newline=False).decode("ascii") for row in encoded]
    for fault in due:
        if fault.name == "bad_base64":
            encoded[fault.index] = "no vector"
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(encoded)
    ]
    if "short" in names:
        data.pop()
    if "duplicate_index" in names:
        if len(data) > 1:
            data[-1] = {**data[-1], "index": data[-2]["index"]}
        else:
            data *= 2
    usage = {"prompt_tokens": call.prompt_tokens, "total_tokens": call.prompt_tokens}
    body: dict[str, Any] = {"object": "list", "data": data, "model": call.model}
    if stated:
        body["usage"] = usage
    # JSON has neither NaN nor infinity: orjson writes null for them, as llama.cpp's server does.
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """What a chat answer is billed for beside its prompt and its text, and by which tier."""

    cached: int = 0
    written: int = 0
    reasoning: int = 0
    rejected: int = 0
    tier: str = "default"
    stated: bool = True
    """Whether the answer says so."""

    @classmethod
    def of(cls, call: ChatCall, config: SimulatorConfig) -> Billing:
        """As the provider is set up; what nobody sees leaves room for a token of text."""
        cached = int(call.prompt_tokens * config.cached_share)
        left = None if call.max_tokens is None else call.max_tokens - 1
        reasoning = config.reasoning_tokens if left is None else min(config.reasoning_tokens, left)
        rejected = (
            config.rejected_tokens
            if left is None
            else min(config.rejected_tokens, left - reasoning)
        )
        written = int(call.prompt_tokens * config.written_share)
        asked = call.service_tier
        own = {None: config.project_tier, "auto": config.project_tier, "fast": "priority"}
        return cls(
            cached=cached,
            written=min(written, call.prompt_tokens - cached),
            reasoning=reasoning,
            rejected=rejected,
            tier=own.get(asked) or str(asked),
            stated=config.usage,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """A chat answer before it is written: its tokens, and why it ended."""

    call: ChatCall
    tokens: tuple[str, ...]
    finish_reason: str
    refused: bool = False
    empty: bool = False
    """Whether the answer has no choices at all."""
    silent: bool = False
    """Whether the message holds nothing."""
    billing: Billing

    @property
    def completion_tokens(self) -> int:
        """Tokens of the output, those that nobody sees included."""
        return len(self.tokens) + self.billing.reasoning + self.billing.rejected

    def body(self, created: int) -> bytes:
        """Return the body; `created` is its time in seconds since 1970."""
        call, text = self.call, "".join(self.tokens)
        content, refusal = (None, text) if self.refused else (text, None)
        if self.silent:
            content = None
        logprobs: dict[str, Any] | None = None
        if call.top_logprobs is not None:
            listed = _logprobs(self.tokens, call.key, call.top_logprobs)
            logprobs = {"content": None, "refusal": None}
            logprobs["refusal" if self.refused else "content"] = listed
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": content, "refusal": refusal},
            "logprobs": logprobs,
            "finish_reason": self.finish_reason,
        }
        body = {
            "id": f"chatcmpl-{call.key.hex()}",
            "object": "chat.completion",
            "created": created,
            "model": call.model,
            "choices": [] if self.empty else [choice],
            "usage": self._usage(),
            "service_tier": self.billing.tier,
            "system_fingerprint": "fp_simulator",
        }
        if not self.billing.stated:
            del body["usage"]
        return orjson.dumps(body)

    def _usage(self) -> dict[str, Any]:
        prompt, output, billing = self.call.prompt_tokens, self.completion_tokens, self.billing
        return {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {
                "cached_tokens": billing.cached,
                "cache_write_tokens": billing.written,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": billing.reasoning,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": billing.rejected,
                "audio_tokens": 0,
            },
        }


def chat_answer(
    call: ChatCall, config: SimulatorConfig, faults: Collection[str] = frozenset()
) -> ChatAnswer:
    """Answer a chat request with about `output_tokens`, or with an instance of its schema."""
    billing = Billing.of(call, config)
    if "refusal" in faults:
        words = tuple(_split(_REFUSAL))
        return ChatAnswer(
            call=call, tokens=words, finish_reason="stop", refused=True, billing=billing
        )
    tokens = _tokens(call, config.output_tokens, spoiled="invalid_json" in faults)
    finish_reason = "stop"
    unseen = billing.reasoning + billing.rejected
    if call.max_tokens is not None and call.max_tokens - unseen < len(tokens):
        tokens, finish_reason = tokens[: call.max_tokens - unseen], "length"
    for name in ("length", "content_filter"):
        if name in faults:
            tokens, finish_reason = tokens[: max(1, len(tokens) // 2)], name
    return ChatAnswer(
        call=call,
        tokens=tuple(tokens),
        finish_reason=finish_reason,
        empty="short" in faults,
        silent="no_content" in faults,
        billing=billing,
    )


def _tokens(call: ChatCall, output_tokens: int, *, spoiled: bool) -> list[str]:
    wanted, choices = call.response_format, Choices(call.key)
    schema = wanted.schema or {}
    if spoiled:
        return _split('{"not":"asked for"}' if schema.get("type") == "array" else '["not asked"]')
    if wanted.schema is not None:
        return _split(_instance(schema, choices))
    length = choices.between(max(1, output_tokens // 2), max(1, output_tokens * 3 // 2))
    tokens = [_SPACED[byte] for byte in choices.take(length)]
    tokens[0] = tokens[0][1:].capitalize()
    if wanted.type == "json_object":
        return _split(orjson.dumps({"answer": "".join(tokens)}).decode())
    return tokens


def _instance(schema: Schema, choices: Choices) -> str:
    try:
        return orjson.dumps(InstanceMaker(schema, choices).make()).decode()
    except (TypeError, ValueError, ArithmeticError, AttributeError) as exc:
        # A keyword has a value of the wrong type, or an enum has no members.
        raise invalid_schema("schema", "it is not a valid JSON Schema.") from exc


def _split(text: str) -> list[str]:
    return _JSON_TOKEN.findall(text)


def _logprobs(tokens: Sequence[str], key: bytes, top: int) -> list[dict[str, Any]]:
    """Return log probabilities: the chosen token has most of the mass, the rest is halved."""
    choices, listed = Choices(b"logprobs" + key), []
    for token in tokens:
        probability = 0.55 + 0.449 * choices.fraction()
        entry = _logprob(token, probability)
        others = [word for word in _alternatives(choices, max(0, top - 1)) if word != token]
        rest = 1 - probability
        ranked = [dict(entry)] if top else []
        for word in others:
            rest /= 2
            ranked.append(_logprob(word, rest))
        listed.append({**entry, "top_logprobs": ranked})
    return listed


def _alternatives(choices: Choices, count: int) -> Sequence[str]:
    start = choices.below(len(_SPACED))
    return [_SPACED[(start + step) % len(_SPACED)] for step in range(count)]


def _logprob(token: str, probability: float) -> dict[str, Any]:
    return {
        "token": token,
        "logprob": math.log(probability),
        "bytes": list(token.encode()),
    }
