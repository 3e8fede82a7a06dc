"""Reading errors: what a provider, a gateway or a proxy said, whatever its dialect.

Known dialects: OpenAI's ``{"error": {...}}``, vLLM's flat object with an integer ``code``
(llama.cpp's has one, too), FastAPI's ``{"detail": ...}``, and HTML or plain text from a proxy. No
decision is made here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from batcher.core.redaction import redact, told_code, told_name

_NO_PARAM = ("", "None", "null")  # gateways write a missing one as text
_SAID_WAIT = re.compile(
    r"try again in (?:(\d{1,4})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,6}(?:\.\d{1,6})?)s)?"
    r"(?:(\d{1,6})ms)?",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(?:script|style).*?</(?:script|style)>|<[^>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderError:
    """One answer that is no success.

    ``code`` is the error's code as text, or its type where the code is null or the status over
    again; ``message`` is key-redacted and at most 500 characters. ``retry_after`` is in seconds
    from now, None where the answer names none; ``should_retry`` is the ``x-should-retry`` header.
    """

    status: int
    code: str
    type: str
    param: str | None
    message: str = field(repr=False)
    retry_after: float | None = None
    said_wait: float | None = None
    should_retry: bool | None = None


def read_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    wall: float,
    secrets: Sequence[str] = (),
) -> ProviderError:
    """The error in an answer.

    Args:
        status: the HTTP status.
        headers: compared without case.
        body: the raw body.
        wall: Unix time, to make a ``retry-after`` date relative.
        secrets: credentials to strike from all of it, besides what looks like one.
    """
    detail = _detail(body)
    code = detail.get("code")
    kind = detail.get("type")
    param = detail.get("param")
    message = detail.get("message")
    message = message if isinstance(message, str) and message else f"HTTP {status}"
    return ProviderError(
        status=status,
        code=told_code(_code(status, code, kind), secrets),
        type=told_code(kind, secrets) if isinstance(kind, str) else "",
        param=(
            told_name(param, secrets) if isinstance(param, str) and param not in _NO_PARAM else None
        ),
        message=redact(message, secrets),
        retry_after=_retry_after(headers, wall),
        said_wait=_said_wait(message),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "").lower()),
    )


def _detail(body: bytes) -> Mapping[str, Any]:
    """The object that holds code, type, param and message."""
    text = body[:65_536].decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return {"message": _TAG.sub(" ", text)}
    if isinstance(answer, list) and answer:
        answer = answer[0]
    if not isinstance(answer, dict):
        return {"message": text}
    error = answer.get("error", answer)
    if isinstance(error, str):
        return {**answer, "message": answer.get("message") or error}
    if not isinstance(error, dict):
        return {"message": text}
    if "message" not in error and "detail" in error:
        detail = error["detail"]
        return {**error, "message": detail if isinstance(detail, str) else json.dumps(detail)}
    return error


def _code(status: int, code: object, kind: object) -> str:
    """The code; where it is the status once more, as vLLM and llama.cpp write, the type."""
    if isinstance(kind, str) and kind and (code is None or str(code) == str(status)):
        return kind
    return "" if code is None else str(code)


def _retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """``retry-after-ms``, else ``retry-after`` in seconds or as an HTTP date; never negative."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - wall)
    except (ValueError, TypeError, OverflowError):
        return None


def _said_wait(message: str) -> float | None:
    """``Please try again in 1h2m3s``, as OpenAI writes it, in seconds."""
    match = _SAID_WAIT.search(message)
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None
