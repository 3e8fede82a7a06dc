"""What an answer says it is billed for, in the words of the providers and gateways there are.

OpenAI's chat and Responses, Azure, and who speaks like them: the tokens that were read from the
cache or written to it are part of the prompt's. Anthropic counts them beside ``input_tokens``,
under names of its own. Data from outside: nothing here raises, and what cannot be a number of
tokens is not one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from batcher.core.money.prices import picodollars

_MOST_TOKENS = 10**9
_MOST_DOLLARS = 10**6
_DIGITS = 10
_OPENAIS = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)
# Anthropic's, DeepSeek's, OpenAI's and Moonshot's, Mistral's, and that of gateways.
_READ_NAMES = (
    "cache_read_input_tokens",
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "num_cached_tokens",
    "cache_read_tokens",
)
_OTHERS = frozenset({"cache_read_tokens", "cache_creation_tokens", "cache_creation_input_tokens"})
_COSTS = ("cost", "cost_usd", "total_cost", "estimated_cost")
_OTHER_NAMES = {
    "promptTokens": "prompt_tokens",
    "inputTokens": "input_tokens",
    "completionTokens": "completion_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
    "promptTokenCount": "prompt_tokens",
    "candidatesTokenCount": "completion_tokens",
    "totalTokenCount": "total_tokens",
    "cachedContentTokenCount": "cached_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
    "cacheWriteInputTokens": "cache_creation_input_tokens",
    "prompt_eval_count": "prompt_tokens",
    "eval_count": "completion_tokens",
}
_NO_DETAILS: dict[str, Any] = {}
_WRITTEN_NAMES = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")


class StatedUsage(NamedTuple):
    """Tokens of one answer, as its provider counts them; None where it does not say.

    ``cached``, ``written`` are parts of ``prompt``, ``reasoning`` of ``completion``.
    ``cost_picousd`` is what the provider itself says that it costs, in picodollars.
    """

    prompt: int | None
    completion: int | None
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    cost_picousd: int | None = None


_NOTHING = StatedUsage(None, None)


def read_usage(usage: object) -> StatedUsage:
    """The tokens that an answer's ``usage`` states.

    Output tokens that were rejected of a prediction are part of ``completion_tokens``, as reasoning
    is (OpenAI's types say so). Some servers count reasoning in ``total_tokens`` alone (Google's,
    xAI's); it is billed like any output, and so it is counted.
    """
    if not isinstance(usage, dict):
        return _NOTHING
    if usage.keys() <= _OPENAIS and (plain := _read_openais(usage)) is not None:
        return plain
    usage = _renamed(usage)
    prompt, cached, written = _read_input(usage)
    completion, reasoning = _read_output(usage, prompt)
    cost = next((usage[name] for name in _COSTS if usage.get(name) is not None), None)
    return StatedUsage(
        prompt,
        completion,
        cached,
        written,
        reasoning,
        None if cost is None else _read_money(cost),
    )


def stated_usage(answer: Mapping[str, Any]) -> object:
    """Where an answer states it: as ``usage``, or where Google, Ollama and Groq put it."""
    if usage := answer.get("usage"):
        return usage
    if isinstance(groq := answer.get("x_groq"), dict):
        return groq.get("usage")
    if "prompt_eval_count" in answer or "eval_count" in answer:
        return answer
    return answer.get("usageMetadata") or answer.get("usage_metadata")


def _renamed(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """With OpenAI's names in place of Google's, Ollama's and those in camel case."""
    if not (usage.keys() & _OTHER_NAMES.keys()):
        return usage
    named = {name: usage[other] for other, name in _OTHER_NAMES.items() if other in usage}
    thoughts = _whole(usage.get("thoughtsTokenCount"))
    said = _whole(usage.get("candidatesTokenCount"))
    if thoughts is not None:
        named["completion_tokens"] = (said or 0) + thoughts
        named["completion_tokens_details"] = {"reasoning_tokens": thoughts}
    return {**named, **usage}


def _read_openais(usage: Mapping[str, Any]) -> StatedUsage | None:
    """What is as OpenAI writes it, and consistent: by far the most answers, read the quickest way.

    None: it is not; what :func:`read_usage` makes of it is the same where it is.
    """
    prompt: Any = usage.get("prompt_tokens")
    completion: Any = usage.get("completion_tokens")
    read: Any = usage.get("prompt_tokens_details") or _NO_DETAILS
    made: Any = usage.get("completion_tokens_details") or _NO_DETAILS
    if type(read) is not dict or type(made) is not dict or read.keys() & _OTHERS:
        return None
    cached, written = read.get("cached_tokens", 0), read.get("cache_write_tokens", 0)
    reasoning = made.get("reasoning_tokens", 0)
    if not type(prompt) is type(completion) is type(cached) is type(written) is type(reasoning):
        return None
    if (
        type(prompt) is int
        and usage.get("total_tokens") == prompt + completion <= _MOST_TOKENS
        and cached >= 0
        and written >= 0
        and cached + written <= prompt
        and 0 <= reasoning <= completion
    ):
        return StatedUsage(prompt, completion, cached, written, reasoning)
    return None


def _read_input(usage: Mapping[str, Any]) -> tuple[int | None, int, int]:
    """The prompt, and what of it was read from the cache and written to it."""
    prompt = _whole(usage.get("prompt_tokens"))
    whole_has_parts = prompt is not None
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    if prompt is None:
        prompt = _whole(usage.get("input_tokens"))
        whole_has_parts = isinstance(details, dict)
    cached = written = None
    if isinstance(details, dict):
        cached = _first(details, _READ_NAMES)
        written = _first(details, _WRITTEN_NAMES)
    if cached is None:
        cached = _first(usage, _READ_NAMES) or 0
    if written is None:
        written = _first(usage, _WRITTEN_NAMES) or 0
    if prompt is None:
        missed = _whole(usage.get("prompt_cache_miss_tokens"))
        return (None, 0, 0) if missed is None else (cached + missed, cached, min(written, missed))
    anthropic = "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage
    if anthropic and (not whole_has_parts or cached + written > prompt):
        prompt += cached + written
    cached = min(cached, prompt)
    return prompt, cached, min(written, prompt - cached)


def _read_output(usage: Mapping[str, Any], prompt: int | None) -> tuple[int | None, int]:
    """The output, and what of it was reasoning."""
    completion = _first(usage, ("completion_tokens", "output_tokens"))
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    parts = details if isinstance(details, dict) else usage
    reasoning = _whole(parts.get("reasoning_tokens")) or 0
    total = _whole(usage.get("total_tokens"))
    beside = None if total is None or prompt is None else total - prompt
    if completion is None:
        completion = beside if beside is not None and beside >= 0 else None
    elif beside is None:
        if reasoning > completion:
            completion += reasoning
    elif beside > completion and (
        beside == completion + reasoning or not isinstance(details, dict)
    ):
        reasoning = reasoning or beside - completion
        completion = beside
    return completion, min(reasoning, completion or 0)


def output_texts(answer: Mapping[str, Any]) -> list[str]:
    """All that a model wrote into a chat answer, for counting it where its provider does not."""
    choices = answer.get("choices")
    found: list[str] = []
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict):
            for name in ("content", "reasoning_content", "reasoning", "refusal", "tool_calls"):
                found += _texts(message.get(name))
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        items: Iterable[object] = value.values() if isinstance(value, dict) else value
        for item in items:
            yield from _texts(item)


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of these that is a number of tokens."""
    for name in names:
        if name in usage and (number := _whole(usage[name])) is not None:
            return number
    return None


def _whole(value: object) -> int | None:
    """A whole number that can be one of tokens, or None (some servers write -1 as unsigned).

    Written as a number, with a decimal point or without, or as a text of digits.
    """
    if type(value) is int:
        return value if 0 <= value <= _MOST_TOKENS else None
    if type(value) is float and value.is_integer():
        return int(value) if 0 <= value <= _MOST_TOKENS else None
    if isinstance(value, str) and len(value) <= _DIGITS and value.isascii() and value.isdigit():
        return _whole(int(value))
    return None


def _read_money(cost: object) -> int | None:
    """Dollars as picodollars: a number, its text, or an object with the total (Perplexity's)."""
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float | str):
        return None
    try:
        amount = Decimal(str(cost))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount <= _MOST_DOLLARS:
        return None
    return picodollars(amount)
