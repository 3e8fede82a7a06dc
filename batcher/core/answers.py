"""Reading chat completions: what every chat-shaped kind needs of an answer, and nothing more.

Answers are data from outside: nothing here raises on a malformed one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batcher.core.errors import RowError
from batcher.core.finish_reason import Meaning, read_finish
from batcher.core.kind import Broken, Refused
from batcher.core.labelshare import TokenChoice
from batcher.core.text import exactjson

_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
_REFUSED_CODES = frozenset({"400", "403", "413", "422"})
_PROMPT_FILTERS = ("prompt_filter_results", "prompt_annotations", "promptFeedback")
_USUAL = frozenset("id object created model choices usage system_fingerprint service_tier".split())
_MOST_NAMES = 5
_MOST_LOOKED_AT = 1_000
_AT_LIMIT = (
    "the limit of tokens was reached before any text of the answer came (reasoning counts "
    "towards it): raise --max-tokens, or have the model reason less"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The first choice of a chat completion.

    ``finish_reason`` is OpenAI's word where it has one for what the provider said, else the
    provider's; empty where there is none. ``reasoned`` says that the model reasoned, where that can
    be seen; its reasoning is no part of ``text``. ``tool_calls`` are as OpenAI writes them, each
    with an id, a name and arguments that are texts.
    """

    text: str
    finish_reason: str
    reasoned: bool = False
    tool_calls: tuple[dict[str, Any], ...] = ()
    logprobs: tuple[TokenChoice, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the model ended the answer by itself, as far as the provider says."""
        return self.finish_reason in ("stop", "")


def read_completion(answer: Mapping[str, Any]) -> Completion | Broken | Refused:
    """The first choice, or what is wrong with the answer."""
    found = answer.get("choices")
    choices: list[Any] = found if isinstance(found, list) else []
    choice = choices[0] if choices else None
    if not isinstance(choice, dict):
        return _no_choice(answer)
    if len(choices) > 1 and _is_left_empty(choice):
        choice = next((other for other in choices if _says_something(other)), choice)
    if error := choice.get("error"):
        return broken_off(error)
    finish = read_finish(choice)
    if finish.meaning is Meaning.FAILED:
        return Broken("broken_off", f"the provider ended the answer early: {finish.word}")
    if finish.meaning is Meaning.FILTERED:
        return Refused("content_filter", "the provider's content filter stopped the answer")
    message = _message_of(choice)
    if message is None:
        return _no_choice(answer)
    content = message.get("content")
    text, refusal = (content, "") if isinstance(content, str) else _read_content(content)
    refusal = message.get("refusal") or refusal
    if isinstance(refusal, str) and refusal:
        return Refused("refusal", f"the model refused: {refusal}")
    blank = not text or text.isspace()
    has_calls = message.get("tool_calls") or message.get("function_call")
    tool_calls = _read_tool_calls(message) if has_calls else ()
    if blank and finish.meaning is Meaning.LENGTH and not tool_calls:
        return Refused("cut_off", _AT_LIMIT, common=True)
    reasoned = blank and _has_reasoned(message, answer.get("usage"))
    if text is None and not reasoned and not tool_calls:
        said = f" ({finish.word})" if finish.word not in ("stop", "") else ""
        return Broken("no_content", f"the answer's message holds no text{said}")
    return Completion(
        text=text or "",
        finish_reason=finish.word,
        reasoned=reasoned,
        tool_calls=tool_calls,
        logprobs=_read_logprobs(logprobs) if (logprobs := choice.get("logprobs")) else (),
    )


def _says_something(choice: object) -> bool:
    """Whether a choice holds anything: gateways cut one with tool calls into several."""
    message = _message_of(choice) if isinstance(choice, dict) else None
    names = ("content", "tool_calls", "function_call", "refusal")
    return message is not None and any(message.get(name) for name in names)


def _is_left_empty(choice: Mapping[str, Any]) -> bool:
    """Whether a choice ended well and holds nothing."""
    ended_well = read_finish(choice).meaning in (Meaning.WHOLE, Meaning.TOOLS)
    return ended_well and not choice.get("error") and not _says_something(choice)


def _no_choice(answer: Mapping[str, Any]) -> Broken | Refused:
    """An answer without a choice: by a filter of prompts (Azure, Google), or for no known cause."""
    if any(_is_filtered(answer.get(name)) for name in _PROMPT_FILTERS):
        return Refused("content_filter", "the provider's content filter refused the prompt")
    held = ", ".join([name for name in answer if name not in _USUAL][:_MOST_NAMES])
    instead = f" (it holds {held})" if held else ""
    return Broken("no_choice", f"the answer has no choice with a message{instead}")


def _is_filtered(said: object) -> bool:
    """Whether results of a filter say, at any depth, that something was filtered or blocked."""
    left = [said]
    for _ in range(_MOST_LOOKED_AT):
        if not left:
            break
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            if value.get("filtered") is True or value.get("blockReason"):
                return True
            left += value.values()
    return False


def _message_of(choice: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The choice's message, also where a gateway calls it ``delta`` or gives the bare text."""
    for name in ("message", "delta"):
        message = choice.get(name)
        if isinstance(message, dict):
            return message
    text = choice.get("text")
    return {"content": text} if isinstance(text, str) else None


def text_of(record: Mapping[str, Any], column: str) -> str:
    """A column's value as text: null as nothing, all but texts as JSON writes it.

    Raises:
        RowError: the column is missing.
    """
    try:
        value = record[column]
    except KeyError:
        raise RowError("missing_column", f"the row has no {column!r}") from None
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if type(value) is int or type(value) is float:
        return exactjson.number_text(value)
    return exactjson.dumps(value)


def broken_off(error: object) -> Broken | Refused:
    """What a gateway says of one choice (OpenRouter): ``{"code": 502, "message": …}``."""
    error = error if isinstance(error, dict) else {"message": error}
    said = error.get("message")
    message = said if isinstance(said, str) and said else "it does not say why"
    if str(error.get("code")) in _REFUSED_CODES:
        return Refused("refused", f"the provider refused to go on: {message}")
    return Broken("broken_off", f"the provider ended the answer early: {message}")


def _read_content(content: object) -> tuple[str | None, str]:
    """The text and the refusal in a message's content that is no text, but parts of one.

    Parts that hold the model's reasoning, references or media are left out.
    """
    if content is None:
        return None, ""
    if not isinstance(content, list) and not _is_part(content):
        return _as_text(content), ""  # a value that a server has parsed already
    texts: list[str] = []
    refusals: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = part.get("type", "text")
            if kind in ("text", "output_text"):
                text = part.get("text")
                text = text.get("value") if isinstance(text, dict) else text
                texts += [text] if isinstance(text, str) else []
            elif kind == "refusal" and isinstance(part.get("refusal"), str):
                refusals.append(part["refusal"])
    return ("".join(texts) if texts else None), "".join(refusals)


def _is_part(content: object) -> bool:
    """Whether a message's content is one part of those that a list of them has."""
    return isinstance(content, dict) and ("type" in content or "text" in content)


def _has_reasoned(message: Mapping[str, Any], usage: object) -> bool:
    """Whether reasoning was shown, or was counted."""
    if any(message.get(name) for name in _REASONING):
        return True
    content = message.get("content")
    if isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") in ("thinking", "reasoning") for part in content
    ):
        return True
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    counted = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return isinstance(counted, int | float) and counted > 0


def _read_tool_calls(message: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    calls = message.get("tool_calls")
    if not calls and isinstance(message.get("function_call"), dict):
        calls = [{"function": message["function_call"]}]
    if not isinstance(calls, list):
        return ()
    return tuple(
        {
            "id": _as_text(call.get("id")),
            "type": "function",
            "function": {
                "name": _as_text(function.get("name")),
                "arguments": _as_text(function.get("arguments")),
            },
        }
        for call in calls
        if isinstance(call, dict) and isinstance(function := call.get("function"), dict)
    )


def _as_text(value: object) -> str:
    """A text as it is, nothing as an empty one, anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def _read_logprobs(logprobs: object) -> tuple[TokenChoice, ...]:
    """Tokens with their log probabilities; one that is none is NaN, so that its token counts."""
    return tuple(
        TokenChoice(token["token"], _number(token.get("logprob")), _others(token))
        for token in _tokens(logprobs, "content")
    )


def _others(token: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    return tuple(
        (other["token"], _number(other.get("logprob"))) for other in _tokens(token, "top_logprobs")
    )


def _tokens(holder: object, name: str) -> list[dict[str, Any]]:
    tokens = holder.get(name) if isinstance(holder, Mapping) else None
    return [
        token
        for token in (tokens if isinstance(tokens, list) else ())
        if isinstance(token, dict) and isinstance(token.get("token"), str)
    ]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
