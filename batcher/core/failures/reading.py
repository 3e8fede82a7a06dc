"""Reading errors: what a provider, a gateway or a proxy said, in its body and in its headers.

The dialects of bodies are :mod:`batcher.core.failures.error_body`'s. No decision is made here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from batcher.core.failures.error_body import error_within, is_object, read_detail
from batcher.core.failures.error_words import status_of
from batcher.core.text.redaction import redact, told_code, told_name

_NO_PARAM = ("", "None", "null")  # gateways write a missing one as text
_SAID_WAIT = re.compile(
    r"try again in (?:(\d{1,4})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,6}(?:\.\d{1,6})?)s)?"
    r"(?:(\d{1,6})ms)?",
    re.IGNORECASE,
)
_RETRY_IN = re.compile(
    r"(?:\bretry(?:ing)? (?:in|after)|\bwait(?: for)?"
    r"|\b(?:again|available|resets?) (?:in|after)(?= \d+ ))"
    r" (\d{1,9}(?:\.\d{1,9})?) ?"
    r"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\b",
    re.IGNORECASE,
)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_QUOTA_CHARACTERS = 500
_RESETS = ("x-ratelimit-reset", "ratelimit-reset", "x-ratelimit-reset-requests")
_LONGEST_WAIT_SECONDS = 1e9
_EPOCH_SECONDS = 1e9
_EPOCH_MILLISECONDS = 1e12
_LONGEST_RESET_SECONDS = 40 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderError:
    """One answer that is no success.

    ``code`` is the error's code as text, or its type where the code is null or the status over
    again; ``message`` is key-redacted and at most 500 characters. ``retry_after`` is in seconds
    from now, None where the answer names none; ``said_wait`` is what OpenAI's message says, and
    ``reset_after`` when a limit begins anew by a header. ``quota`` names the limit, as Google does.
    ``location`` is where a redirect leads. ``should_retry`` is the ``x-should-retry`` header.
    """

    status: int
    code: str
    type: str
    param: str | None
    message: str = field(repr=False)
    retry_after: float | None = None
    said_wait: float | None = None
    reset_after: float | None = None
    quota: str = ""
    location: str = field(default="", repr=False)
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
    detail = read_detail(body)
    code = detail.get("code")
    kind = detail.get("type")
    param = detail.get("param")
    message = detail.get("message")
    message = message if isinstance(message, str) and message.strip() else f"HTTP {status}"
    retry_after = read_retry_after(headers, wall)
    if retry_after is None:
        retry_after = _said_delay(detail, message)
    return ProviderError(
        status=status,
        code="moderation" if _is_flagged(detail) else told_code(_code(status, code, kind), secrets),
        type=told_code(kind, secrets) if isinstance(kind, str) else "",
        param=(
            told_name(param, secrets) if isinstance(param, str) and param not in _NO_PARAM else None
        ),
        message=redact(message, secrets),
        retry_after=retry_after,
        said_wait=_said_wait(message),
        reset_after=_reset_after(headers, detail, wall),
        quota=_quota(detail),
        location=redact(headers.get("location", "").partition("?")[0], secrets),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "").lower()),
    )


def status_within(answer: Mapping[str, Any]) -> int | None:
    """The status that an error inside a 200 stands for; None where the answer is none.

    Gateways that have sent their 200 before the server behind them failed put an error in place of
    the result. One beside a whole result is not an error of the request.
    """
    error = error_within(answer)
    if error is None:
        return None
    for name in ("code", "status", "status_code", "http_status"):
        number = _number(error.get(name))
        if number is not None and 300 <= number <= 599:
            return int(number)
    words = " ".join(str(error.get(name) or "") for name in ("code", "type", "status"))
    return status_of(words, str(error.get("message") or ""))


def _code(status: int, code: object, kind: object) -> str:
    """The code; where it is the status once more, as vLLM and llama.cpp write, the type."""
    if isinstance(kind, str) and kind and (code is None or str(code) == str(status)):
        return kind
    return "" if code is None else str(code)


def read_retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """``retry-after-ms``, else ``retry-after`` in seconds or as an HTTP date; never negative."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None and milliseconds < _LONGEST_WAIT_SECONDS:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if value is None or seconds is not None:
        return seconds if seconds is not None and seconds < _LONGEST_WAIT_SECONDS else None
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


def _said_delay(detail: Mapping[str, Any], message: str) -> float | None:
    """Google's ``RetryInfo``, or ``Please retry in 38.1s`` and ``retry after 7 seconds``."""
    for entry in _entries(detail):
        delay = entry.get("retryDelay")
        match = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
        if match is not None:
            return float(match.group(1))
    match = _RETRY_IN.search(message)
    if match is None:
        return None
    return float(match.group(1)) * _unit_seconds(match.group(2).lower())


def _unit_seconds(unit: str) -> float:
    if unit == "ms" or unit.startswith("milli"):
        return 0.001
    return {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}[unit[0]]


def _reset_after(
    headers: Mapping[str, str], detail: Mapping[str, Any], wall: float
) -> float | None:
    """When a limit begins anew: seconds from now, or a time since 1970 in seconds or ms.

    OpenRouter sends its headers within the error, too.
    """
    metadata = detail.get("metadata")
    within = metadata.get("headers") if isinstance(metadata, dict) else None
    names = {str(name).lower(): text for name, text in within.items()} if is_object(within) else {}
    for name in _RESETS:
        number = _number(headers.get(name)) or _number(names.get(name))
        if number is None:
            continue
        if number >= _EPOCH_MILLISECONDS:
            number = number / 1000.0
        seconds = number - wall if number >= _EPOCH_SECONDS else number
        if 0 <= seconds <= _LONGEST_RESET_SECONDS:
            return seconds
    return None


def _quota(detail: Mapping[str, Any]) -> str:
    """The names of the limits that Google's ``QuotaFailure`` says were exceeded."""
    names = [
        str(violation.get("quotaId", ""))
        for entry in _entries(detail)
        for violation in _listed(entry.get("violations"))
    ]
    return " ".join(names)[:_QUOTA_CHARACTERS]


def _is_flagged(detail: Mapping[str, Any]) -> bool:
    """Whether it is the input that OpenRouter's moderation refuses."""
    metadata = detail.get("metadata")
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _entries(detail: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _listed(detail.get("details"))


def _listed(entries: object) -> list[Mapping[str, Any]]:
    """The objects of a list; of anything else none."""
    return [entry for entry in entries if is_object(entry)] if isinstance(entries, list) else []


def _number(text: object) -> float | None:
    """A number from 0 to 10^15 (a time in milliseconds), or None."""
    if not isinstance(text, str | int | float) or isinstance(text, bool):
        return None
    try:
        number = float(text)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 1e15 else None
