"""How long an answer can be that must have a form: one of some texts, or what a JSON Schema allows.

Pure arithmetic. It holds where the server keeps to the form; where it matters, the request carries
the bound as its limit. What a model thinks before it answers is no part of the form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from batcher.core.text import exactjson

THINKING_TOKENS: Final = 4_096
"""What is allowed for thinking where nobody says how much it may be."""

_FACTOR, _MARGIN_TOKENS = 2, 32
"""Another tokenizer than ours may cut finer; blanks, line ends and fences may stand around."""
_CHARACTER_TOKENS = 2
_MOST_CHARACTERS = 1_000_000
_DEEPEST = 30
_FORMATS: Final = {
    "date-time": 40, "date": 12, "time": 24, "duration": 40, "uuid": 36, "ipv4": 15, "ipv6": 45,
}  # fmt: skip
_NUMBER_CHARACTERS = 25
_REASONING_MODELS: Final = re.compile(
    r"(?:^|/)(?:o\d|gpt-[5-9]|gpt-oss|deepseek-r|qwq|qwen3|grok-[3-9]|gemini-(?:2\.5|[3-9])|magistral)"
    r"|thinking|reason",
    re.IGNORECASE,
)


class Unbounded(Exception):
    """Nothing bounds an answer; the message says what in its form does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerBound:
    """The longest answer: the longest of ``texts``, and so many ``characters`` of any text.

    ``by`` is what bounds it, as a message says it.
    """

    texts: tuple[str, ...]
    characters: int = 0
    by: str

    def tokens(self, count: Callable[[Sequence[str]], Sequence[int]]) -> int:
        """The most tokens that an answer may have, with some to spare; ``count`` counts texts'."""
        longest = max(count(self.texts), default=0)
        return _FACTOR * longest + _CHARACTER_TOKENS * self.characters + _MARGIN_TOKENS


def thinks(model: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a model may reason before it answers, as far as its name and parameters say."""
    reasoning = parameters.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, Mapping) else None
    template = parameters.get("chat_template_kwargs")
    told_not = isinstance(template, Mapping) and template.get("enable_thinking") is False
    if told_not or "none" in (parameters.get("reasoning_effort"), effort):
        return False
    return _REASONING_MODELS.search(model) is not None


def bound_of_format(response_format: object) -> AnswerBound | None:
    """The bound of answers to a request with this ``response_format``; None: it is no schema.

    Raises:
        Unbounded: its schema bounds nothing.
    """
    wrapped = response_format.get("json_schema") if isinstance(response_format, Mapping) else None
    schema = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    if not isinstance(schema, Mapping):
        return None
    text, characters = _Schema(schema).size(schema, "the answer", 0)
    if len(text) + characters > _MOST_CHARACTERS:
        raise Unbounded("the schema allows more than a million characters")
    return AnswerBound(texts=(text,), characters=characters, by="the schema")


class _Schema:
    """The largest value that a schema allows: what it says itself, and how much is free text."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def size(self, schema: object, name: str, depth: int) -> tuple[str, int]:
        """The text that stands in it, and the characters of any text besides."""
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            raise Unbounded(
                f"{name} may be anything" if depth <= _DEEPEST else f"{name} has no end"
            )
        if "const" in schema:
            return exactjson.dumps(schema["const"]), 0
        if isinstance(values := schema.get("enum"), list) and values:
            return max((exactjson.dumps(value) for value in values), key=len), 0
        if isinstance(reference := schema.get("$ref"), str):
            return self.size(self._resolved(reference, name), name, depth + 1)
        for word in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(word), list) and branches:
                return _largest(self.size(branch, name, depth + 1) for branch in branches)
        types = schema.get("type")
        listed = types if isinstance(types, list) else [types]
        return _largest(self._of_type(schema, kind, name, depth) for kind in listed)

    def _of_type(
        self, schema: Mapping[str, Any], kind: object, name: str, depth: int
    ) -> tuple[str, int]:
        if kind == "object":
            return self._object(schema, name, depth)
        if kind == "array":
            most = _whole(schema.get("maxItems"))
            if most is None:
                raise Unbounded(f"{name} has no maxItems")
            text, characters = self.size(schema.get("items"), f"an item of {name}", depth + 1)
            if most * (len(text) + characters + 2) > _MOST_CHARACTERS:
                raise Unbounded(f"{name} may have more than a million characters")
            return f"[{', '.join([text] * most)}]", most * characters
        if kind == "string":
            most = _whole(schema.get("maxLength"))
            if most is None:
                most = _FORMATS.get(str(schema.get("format")))
            if most is None:
                raise Unbounded(f"{name} has no maxLength")
            return '""', most
        if kind in ("integer", "number"):
            return "", _NUMBER_CHARACTERS
        if kind in ("boolean", "null"):
            return "false", 0
        raise Unbounded(f"{name} may be anything")

    def _object(self, schema: Mapping[str, Any], name: str, depth: int) -> tuple[str, int]:
        if schema.get("additionalProperties") is not False or "patternProperties" in schema:
            raise Unbounded(f"{name} may have any properties (no additionalProperties: false)")
        properties = schema.get("properties")
        parts: list[str] = []
        free = 0
        for key, value in (properties if isinstance(properties, Mapping) else {}).items():
            text, characters = self.size(value, repr(key), depth + 1)
            parts.append(f"{exactjson.dumps(key)}: {text}")
            free += characters
            if sum(map(len, parts[-1:])) + free > _MOST_CHARACTERS:
                raise Unbounded(f"{name} may have more than a million characters")
        return f"{{{', '.join(parts)}}}", free

    def _resolved(self, reference: str, name: str) -> object:
        found: object = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            found = found.get(part) if isinstance(found, Mapping) else None
        if not reference.startswith("#") or found is None:
            raise Unbounded(f"{name} refers to {reference}")
        return found


def _largest(sizes: Any) -> tuple[str, int]:
    largest: tuple[str, int] = max(sizes, key=lambda size: len(size[0]) + size[1])
    return largest


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
