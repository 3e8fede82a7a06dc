"""Reading chat completions: what every chat-shaped kind needs of an answer, and nothing more.

Answers are data from outside: nothing here raises on a malformed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batcher.core.errors import RowError
from batcher.core.kind import Broken, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The first choice of a chat completion: its text, why it ended, and its token logprobs."""

    text: str
    finish_reason: str
    logprobs: tuple[tuple[str, float], ...] = ()


def read_completion(answer: Mapping[str, Any]) -> Completion | Broken | Refused:
    """The first choice, or what is wrong with the answer."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return Broken("no_choice", "the answer holds no choice with a message")
    finish_reason = choice.get("finish_reason")
    if finish_reason == "content_filter":
        return Refused("content_filter", "the provider's content filter stopped the answer")
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return Refused("refusal", f"the model refused: {refusal}")
    content = message.get("content")
    if not isinstance(content, str):
        return Broken("no_content", "the answer's message holds no text")
    return Completion(
        text=content,
        finish_reason=finish_reason if isinstance(finish_reason, str) else "",
        logprobs=_read_logprobs(choice.get("logprobs")),
    )


def text_of(record: Mapping[str, Any], column: str) -> str:
    """A column's value as text: numbers and booleans as JSON writes them, null as nothing.

    Raises:
        RowError: the column is missing, or holds a list or an object.
    """
    try:
        value = record[column]
    except KeyError:
        raise RowError("missing_column", f"the row has no {column!r}") from None
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise RowError("not_text", f"{column!r} holds a {type(value).__name__}, not text")


def _read_logprobs(logprobs: object) -> tuple[tuple[str, float], ...]:
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list):
        return ()
    return tuple(
        (token["token"], float(token["logprob"]))
        for token in tokens
        if isinstance(token, dict)
        and isinstance(token.get("token"), str)
        and isinstance(token.get("logprob"), int | float)
    )
