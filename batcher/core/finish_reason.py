"""Why an answer ended: the ``finish_reason`` of every dialect as one of six meanings.

OpenAI has five words for it. Others write ``MAX_TOKENS``, ``model_length``, ``eos_token``,
``FinishReason.SAFETY``, ``insufficient_system_resource``, and more with every version, so words are
read by what they are made of. A gateway may call ``stop`` what the model's own server called an
error, and keep that in ``native_finish_reason``: the worse of the two counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final


class Meaning(Enum):
    """What an answer's end means for what came before it; the worse, the further down."""

    WHOLE = auto()
    TOOLS = auto()
    OTHER = auto()
    LENGTH = auto()
    FILTERED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Finish:
    """An end: its meaning, and the word that is told of it (empty where the answer has none).

    The word is OpenAI's where it has one for the meaning, else the provider's own.
    """

    meaning: Meaning
    word: str


_STOP: Final = Finish(Meaning.WHOLE, "stop")
_LENGTH: Final = Finish(Meaning.LENGTH, "length")
_ABSENT: Final = Finish(Meaning.WHOLE, "")
_COMMON: Final[Mapping[object, Finish]] = {"stop": _STOP, "length": _LENGTH}
_WORD_OF: Final = {
    Meaning.WHOLE: "stop",
    Meaning.TOOLS: "tool_calls",
    Meaning.LENGTH: "length",
    Meaning.FILTERED: "content_filter",
}
_NATIVE: Final = "native_finish_reason"
_MORE: Final = "provider_specific_fields"
_NO_REASON: Final = frozenset({"", "null", "none", "nil", "undefined"})
_PREFIX: Final = re.compile(r"^(?:.*(?:finish|stop)_?)?(?:reason_)+(?=.)")
_WHOLE: Final = frozenset(
    "stop stopped end eos eos_token eog eog_token eos_found end_turn end_of_turn end_of_text"
    " end_of_sequence endoftext stop_sequence stop_token stop_word stop_words stop_string"
    " stop_string_found stop_trigger stop_criteria complete completed finish finished done normal"
    " success".split()
)
_TOOLS: Final = frozenset(
    "tool_call tool_calls tool_use function_call function_calls".split()
)  # fmt: skip
_FILTER_WORDS: Final = frozenset(
    "filter filtered filtering safety blocked block blocklist prohibited moderation moderated"
    " flagged guardrail guardrails policy toxic toxicity sensitive recitation spii refusal refused"
    " jailbreak armor violation copyright language".split()
)
_LENGTH_WORDS: Final = frozenset({"length", "len"})
_LIMITS: Final = frozenset("max maximum limit exceeded reached window full overflow".split())
_LIMITED: Final = frozenset("token tokens context output completion".split())
_FAILURE_WORDS: Final = frozenset(
    "error errors err fail failed failure abort aborted aborting cancel cancelled canceled"
    " cancelling cancellation timeout deadline interrupted interrupt preempted preempt evicted"
    " malformed invalid exception crash crashed disconnect disconnected unavailable overload"
    " overloaded insufficient exhausted unexpected missing killed shutdown unloaded unload load"
    " unfinished incomplete lost".split()
)
_FAILURES: Final = frozenset(
    "user_stopped not_finished rate_limit_exceeded rate_limited timed_out time_out"
    " too_many_tool_calls no_image".split()
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN: Final = re.compile(r"[^a-z0-9]+")
_TOLD: Final = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def read_finish(choice: Mapping[str, Any]) -> Finish:
    """Why a choice ended: by its ``finish_reason``, or by what its gateway was told, if worse."""
    reason = choice.get("finish_reason")
    finish = (_COMMON.get(reason) if isinstance(reason, str) else None) or _finish(reason)
    if _NATIVE not in choice and _MORE not in choice:
        return finish
    more = choice.get(_MORE)
    for source in (choice, more if isinstance(more, dict) else {}):
        native = _finish(source.get(_NATIVE))
        worse = native.meaning.value > max(finish.meaning.value, Meaning.OTHER.value)
        if worse or not finish.word:
            finish = native
    return finish


def is_whole(answer: Mapping[str, Any]) -> bool:
    """Whether an answer ended by itself, in all of its choices; one without choices did."""
    choices = answer.get("choices")
    return not isinstance(choices, list) or all(
        read_finish(choice).meaning in (Meaning.WHOLE, Meaning.TOOLS)
        for choice in choices
        if isinstance(choice, dict)
    )


def _finish(reason: object) -> Finish:
    if isinstance(reason, dict):  # SGLang's own: {"type": "length", "length": 16}
        reason = reason.get("type") or reason.get("reason")
    if reason is None or isinstance(reason, bool):
        return _ABSENT
    said = str(reason).strip()[:100]
    word = _BETWEEN.sub("_", _CAMEL.sub("_", said).lower()).strip("_")
    word = _PREFIX.sub("", word)
    if word in _NO_REASON:
        return _ABSENT
    meaning = _meaning(word)
    told = _WORD_OF.get(meaning) or (said if _TOLD.fullmatch(said) else word[:64] or "other")
    return Finish(meaning, told)


def _meaning(word: str) -> Meaning:
    """The first that fits; what fits nothing is told as it is."""
    if word in _WHOLE:
        return Meaning.WHOLE
    if word in _TOOLS:
        return Meaning.TOOLS
    parts = frozenset(word.split("_"))
    if parts & _FILTER_WORDS:
        return Meaning.FILTERED
    if word in _FAILURES:
        return Meaning.FAILED
    limits = parts & _LIMITS and parts & _LIMITED
    if (parts & _LENGTH_WORDS or limits or word == "error_limit") and "deadline" not in parts:
        return Meaning.LENGTH
    if parts & _FAILURE_WORDS:
        return Meaning.FAILED
    return Meaning.OTHER
