"""A chat request, validated as OpenAI validates it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from batcher.simulator.config import SimulatorConfig
from batcher.simulator.replies import empty_array, invalid, json_type, missing, wrong_type
from batcher.simulator.requests.calls import CountTokens, Object
from batcher.simulator.requests.response_format import ResponseFormat, read_response_format

UNSTATED_OUTPUT_TOKENS = 16
"""Charged beside the prompt where a chat request does not say how long its answer may be."""

SERVICE_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")

_REASONING = re.compile(r"o\d|gpt-([5-9]|[1-9]\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """One chat request; its answer depends on `key` alone, and on what was asked of its form."""

    model: str
    texts: list[str]
    key: bytes
    """A hash of the messages, 16 bytes."""
    prompt_tokens: int
    max_tokens: int | None
    response_format: ResponseFormat
    service_tier: str | None
    """What was asked for; None where that was left out."""
    top_logprobs: int | None
    """How many alternatives beside each token; None where no logprobs are asked for."""

    def charge(self, *, azure: bool) -> int:
        """Return the tokens that admission costs.

        OpenAI: max(max tokens, a quarter of the characters); Azure: prompt + max tokens. Where
        no maximum is sent, both: prompt + `UNSTATED_OUTPUT_TOKENS`.
        """
        if self.max_tokens is None:
            return self.prompt_tokens + UNSTATED_OUTPUT_TOKENS
        if azure:
            return self.prompt_tokens + self.max_tokens
        return max(self.max_tokens, math.ceil(sum(map(len, self.texts)) / 4))

    def identities(self) -> list[bytes]:
        """Return the identity of the messages: a chat request is one input."""
        return [self.key]


def read_chat(
    body: Object, model: str, config: SimulatorConfig, count_tokens: CountTokens
) -> ChatCall:
    """Validate a chat request."""
    messages = body.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise empty_array("messages")
    texts = [_message_text(message, f"messages[{i}]") for i, message in enumerate(messages)]
    reasoning = _REASONING.match(model) is not None
    _check_sampling(body)
    max_tokens = _read_max_tokens(body, reasoning=reasoning)
    # Three tokens around each message and three that open the answer, as OpenAI counts.
    # A schema is shown to the model as one message more.
    shown = [*texts, *_schema_texts(body)]
    prompt_tokens = 3 + sum(4 + count_tokens(text) if text else 4 for text in shown)
    _check_context(prompt_tokens, max_tokens or 0, config.context_window)
    return ChatCall(
        model=model,
        texts=texts,
        key=blake2b(orjson.dumps(messages), digest_size=16, person=b"messages").digest(),
        prompt_tokens=prompt_tokens,
        max_tokens=max_tokens,
        service_tier=_read_tier(body.get("service_tier")),
        response_format=read_response_format(body.get("response_format"), texts),
        top_logprobs=_read_logprobs(body),
    )


def _message_text(message: object, where: str) -> str:
    """Return a message's text; parts of other kinds than text are left out."""
    if not isinstance(message, dict):
        raise wrong_type(where, "an object", message)
    if message.get("role") not in ("system", "developer", "user", "assistant", "tool", "function"):
        if "role" not in message:
            raise missing(f"{where}.role")
        raise invalid(
            f"Invalid value: {str(message['role'])!r}. Supported values are: 'system', "
            "'assistant', 'user', 'function', 'tool', and 'developer'.",
            param=f"{where}.role",
            code="invalid_value",
        )
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if content is None and message["role"] == "assistant":
        return ""
    raise invalid(
        f"Invalid value for 'content': expected a string, got {json_type(content)}.",
        param=f"{where}.content",
    )


def _schema_texts(body: Object) -> list[str]:
    """The schema of structured output, as text; none where the body asks for none."""
    wanted = body.get("response_format")
    schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
    return [] if schema is None else [orjson.dumps(schema).decode()]


def _read_max_tokens(body: Object, *, reasoning: bool) -> int | None:
    old, new = body.get("max_tokens"), body.get("max_completion_tokens")
    if old is not None and reasoning:
        raise invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    if old is not None and new is not None:
        raise invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    name, value = ("max_tokens", old) if new is None else ("max_completion_tokens", new)
    if value is None:
        return None
    if type(value) is not int:
        raise wrong_type(name, "an integer", value)
    if value < 1:
        raise invalid(
            f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got "
            f"{value} instead.",
            param=name,
            code="integer_below_min_value",
        )
    return value


def _read_tier(tier: object) -> str | None:
    if tier is None or tier in SERVICE_TIERS:
        return None if tier is None else str(tier)
    listed = ", ".join(repr(name) for name in SERVICE_TIERS)
    raise invalid(
        f"Invalid value: {tier!r}. Supported values are: {listed}.",
        param="service_tier",
        code="invalid_value",
    )


def _check_sampling(body: Object) -> None:
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = body.get(name)
        if value is None:
            continue
        if type(value) not in (int, float):
            raise wrong_type(name, "a decimal", value)
        if not 0 <= value <= most:
            side, sign, bound = ("below min", ">=", 0) if value < 0 else ("above max", "<=", most)
            raise invalid(
                f"Invalid '{name}': decimal {side}imum value. Expected a value {sign} {bound}, "
                f"but got {value} instead.",
                param=name,
                code=f"decimal_{side.replace(' ', '_')}_value",
            )
    if body.get("stream"):
        raise invalid(
            "Unsupported value: 'stream' does not support true with this provider.",
            param="stream",
            code="unsupported_value",
        )


def _read_logprobs(body: Object) -> int | None:
    top = body.get("top_logprobs")
    if not body.get("logprobs"):
        if top is not None:
            raise invalid(
                "'logprobs' must be true when 'top_logprobs' is specified.", param="top_logprobs"
            )
        return None
    if top is None:
        return 0
    if type(top) is not int:
        raise wrong_type("top_logprobs", "an integer", top)
    if not 0 <= top <= 20:
        raise invalid(
            "Invalid 'top_logprobs': expected a value between 0 and 20.", param="top_logprobs"
        )
    return top


def _check_context(prompt: int, output: int, window: int) -> None:
    if prompt + output <= window:
        return
    asked = (
        f"you requested {prompt + output} tokens ({prompt} in the messages, {output} in the "
        "completion). Please reduce the length of the messages or completion."
        if prompt <= window
        else f"your messages resulted in {prompt} tokens. Please reduce the length of the messages."
    )
    raise invalid(
        f"This model's maximum context length is {window} tokens. However, {asked}",
        param="messages",
        code="context_length_exceeded",
    )
