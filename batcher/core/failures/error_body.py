"""The error in a body, in every dialect: where code, type, param and message stand.

Known dialects: OpenAI's ``{"error": {...}}``, vLLM's flat object, Google's list of one,
OpenRouter's ``metadata``, FastAPI's ``{"detail": [...]}``, Cloudflare's ``{"errors": [...]}``,
MiniMax's ``base_resp``, TGI's ``error_type``, what the gateways of clouds write (``message``,
``msg``), and HTML or plain text from a proxy. No decision is made here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from batcher.core.finish_reason import Meaning, read_finish

_READ_BYTES = 65_536
_TAG = re.compile(r"<(?:script|style).*?</(?:script|style)>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_MESSAGES = (
    "message", "detail", "msg", "error_message", "error_msg", "errorMessage", "error_description",
    "status_msg", "Message", "reason", "title", "error",
)  # fmt: skip
_CODES = ("code", "error_code", "errorCode", "status_code", "Code")
_TYPES = ("type", "error_type", "errorType")
_PLACES = frozenset({"body", "query", "header", "path", "__root__"})
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WRAPPED = ("Response", "ResponseMetadata")  # Tencent's and Volcengine's
_FAILED = frozenset({"error", "fail", "failed", "failure"})
_DEEPEST = 4
_SAID = ("content", "tool_calls", "function_call", "refusal", "audio")
_LISTS = ("data", "output", "results")


def read_detail(body: bytes) -> Mapping[str, Any]:
    """The object that holds an error's code, type, param and message, as far as there are any."""
    text = body[:_READ_BYTES].decode("utf-8", "replace")
    try:
        answer = json.loads(text)
        if isinstance(answer, str):  # an object that a gateway wrote as a text once more
            answer = json.loads(answer)
    except (ValueError, RecursionError):
        return {"message": _TAG.sub(" ", text)}
    if isinstance(answer, list) and answer:
        answer = answer[0]
    return detail_of(answer) if isinstance(answer, dict) else {"message": text}


def detail_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same of an object: what it says under ``error``, ``errors`` or ``base_resp``, or flatly.

    Whatever the names were, they are ``code``, ``type``, ``param`` and ``message`` then.
    """
    error = _error_of(answer)
    message, param = _said(error, 0)
    return {
        **error,
        "code": _first(error, _CODES),
        "type": _first(error, _TYPES),
        "param": error.get("param") or param,
        "message": _with_cause(message, error.get("metadata")),
    }


def error_within(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error in place of a result, as :func:`detail_of` tells it; None where there is none.

    An error beside a whole result is not one of the request. Beside a part of a result it is: a
    gateway that loses the server behind it has sent its 200 by then, and what it had of the text.
    """
    error = answer.get("error") or answer.get("errors")
    if not error and (answer.get("choices") or answer.get("data")):
        return None  # by far the most answers
    if not error or _is_none(answer):
        return detail_of(answer) if _is_flat_error(answer) else None
    return None if _holds_result(answer) and not _is_part(answer) else detail_of(answer)


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def _error_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that an answer says its error in."""
    for outer in _WRAPPED:
        within = answer.get(outer)
        if is_object(within) and is_object(within.get("Error")):
            answer = within
    for name in ("error", "errors", "base_resp", "Error"):
        error = answer.get(name)
        if isinstance(error, list):
            error = next((entry for entry in error if is_object(entry)), None) or error
        if is_object(error) and error:
            return error
        if error and isinstance(error, str | list):
            beside = answer.get("message")
            told = beside if isinstance(beside, str) and beside else error
            return {**answer, "message": told}
    return answer


def _said(error: Mapping[str, Any], depth: int) -> tuple[str, str | None]:
    """The message, and the parameter that it is about where a validator says the place."""
    for name in _MESSAGES:
        told = error.get(name)
        if isinstance(told, str) and told.strip():
            return told, None
        if told and isinstance(told, list | dict) and depth < _DEEPEST:
            message, param = _listed(told, depth)
            if message:
                return message, param
    return "", None


def _listed(told: list[Any] | dict[str, Any], depth: int) -> tuple[str, str | None]:
    if isinstance(told, dict):
        message, param = _said(told, depth + 1)
        return message or _text(told), param
    entries = [entry for entry in told if is_object(entry)]
    if not entries:
        return _text(told), None
    places = [_place(entry.get("loc")) for entry in entries]
    said = [_said(entry, depth + 1)[0] or _text(entry) for entry in entries]
    texts = [
        f"{place}: {text}" if place else text for place, text in zip(places, said, strict=True)
    ]
    return "; ".join(texts), _parameter(entries[0].get("loc"))


def _place(loc: object) -> str:
    return ".".join(str(part) for part in loc) if isinstance(loc, list) else ""


def _parameter(loc: object) -> str | None:
    """The body's parameter that a validator complains of, such as ``["body", "input", 3]``."""
    parts: Iterable[object] = loc if isinstance(loc, list) else ()
    names = [part for part in parts if isinstance(part, str) and _NAME.fullmatch(part)]
    return next((name for name in names if name not in _PLACES), None)


def _with_cause(message: str, metadata: object) -> str:
    """The message with what the provider behind a gateway said (OpenRouter's ``raw``)."""
    raw = metadata.get("raw") if is_object(metadata) else None
    if not raw or not isinstance(raw, str | dict):
        return message
    cause = read_detail(raw.encode("utf-8", "replace")) if isinstance(raw, str) else detail_of(raw)
    told = str(cause.get("message") or "")
    return f"{message}: {told}" if message and told and told not in message else message or told


def _first(error: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of these that the object has a word or a number for."""
    values = (error.get(name) for name in names)
    return next((value for value in values if isinstance(value, str | int) and value != ""), None)


def _text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def _is_success(code: object) -> bool:
    return str(code) == "0" or (isinstance(code, int) and 200 <= code < 300)


def _is_none(answer: Mapping[str, Any]) -> bool:
    """Whether what stands under ``error`` says that there was none."""
    error = answer.get("error") or answer.get("errors")
    if not is_object(error):
        return False
    named = _is_success(_first(error, _CODES)) and _holds_result(answer)
    return named or not any(error.values())


def _is_flat_error(answer: Mapping[str, Any]) -> bool:
    """Whether an object without a result says that there was an error, without that word."""
    if any(answer.get(name) for name in ("choices", *_LISTS)):
        return False
    if answer.get("object") == "error" or answer.get("type") == "error":
        return True
    if _error_of(answer) is not answer and any(name in answer for name in (*_WRAPPED, "Error")):
        return True
    base = answer.get("base_resp")
    if is_object(base) and not _is_success(base.get("status_code", 0)):
        return True
    if answer.get("success") is False or str(answer.get("status")).lower() in _FAILED:
        return True
    texts = ("detail", "message", "msg", "error_message", "error_msg", "errorMessage", "Message")
    told = any(isinstance(answer.get(name), str) and answer[name] for name in texts)
    return (told or isinstance(answer.get("detail"), list)) and not _is_success(
        _first(answer, _CODES)
    )


def _holds_result(answer: Mapping[str, Any]) -> bool:
    if any(answer.get(name) for name in _LISTS):
        return True
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return bool(choices)
    return any(_says_something(choice) for choice in choices)


def _says_something(choice: object) -> bool:
    if not is_object(choice):
        return True
    message = choice.get("message") or choice.get("delta")
    said = is_object(message) and any(message.get(name) for name in _SAID)
    return said or bool(choice.get("text"))


def _is_part(answer: Mapping[str, Any]) -> bool:
    """Whether the first choice did not come to its end."""
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not is_object(first):
        return False
    finish = read_finish(first)
    return finish.word == "" or finish.meaning is Meaning.FAILED
