"""The one retry authority: what each failure means, as a value that the caller acts on.

``judge`` is the failure table, first match wins; ``after_attempts`` and ``after_refusals`` say what
becomes of a request that keeps failing. None of them knows a clock; chance is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from batcher.core.failures.error_words import says_no_credit, says_too_many, status_meant
from batcher.core.failures.reading import ProviderError

MAX_ATTEMPTS = 6
MAX_REFUSALS = 3
"""How often one row is refused by a status that others do not get, before it is a dead letter."""
MAX_REPAIRS = 2
TRIES_BEFORE_HALVING = 3
"""How often a request of many rows fails alone, with nothing else to try, before it is halved."""
LONGEST_WAIT_SECONDS = 600.0
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 0.4
_PAUSE_GROWTH = 1.4

_ROW_CODES = frozenset(
    {
        "context_length_exceeded",
        "exceed_context_size_error",
        "string_above_max_length",
        "content_filter",
        "content_policy_violation",
        "moderation",
    }
)
_BADLY_MADE_CODES = frozenset(
    {"json_validate_failed", "tool_use_failed", "json_schema_validate_failed"}
)
"""Groq's: what the model made has not the form that was asked for; the next try may have."""
_TOO_LARGE = ("request too large", "input is too large", "physical batch size", "payload too large")
_DAILY = re.compile(
    r"(?:per|by|/)[ -]?(?:day|week|month)(?![a-z])|daily|weekly|monthly|\b[rt]p[dw]\b|per 86400 ?s"
    r"|perday|permonth|byday"
)
_NOTHING = re.compile(r"\blimit(?: is|:|=)? ?0(?!\d|[.,]\d)")
_INPUT_PARAM = re.compile(
    r"(?:[$]\.|body\.)?(?:inputs?|messages?|prompts?|texts?|contents?|batch(?:_size)?)"
    r"(?:_tokens|_text)?(?![a-z_])"
)
_ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "response_format": (
        "response format", "json_schema", "json schema", "structured output", "grammar",
        "json mode", "guided decoding",
    ),
    "encoding_format": ("encoding format",),
}  # fmt: skip
"""What servers call parameters that they do not know."""
_LENGTH_PARAMS = ("max_tokens", "max_completion_tokens")
_TOO_LONG = "maximum context length"
_NOT_SUPPORTED = "not_supported_error"


class Chance(Protocol):
    """The part of :class:`random.Random` that backoff needs."""

    def uniform(self, a: float, b: float) -> float:
        """A number between ``a`` and ``b``."""
        ...


@dataclass(frozen=True, slots=True)
class Split:
    """Send it again in two halves; a single piece is a dead letter with this code."""

    code: str
    message: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dead:
    """This piece failed for good."""

    code: str
    message: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PauseJob:
    """Stop and keep everything; ``wait_seconds`` until the provider may answer again, if said."""

    reason: str = field(repr=False)
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status that refuses: this request alone, or every one; the others' answers tell which.

    ``code`` and ``message`` are for the dead letter of a row that is refused alone. ``reason`` says
    what to do where everybody is refused. ``likeness`` is the same for refusals that are alike.
    ``named`` says that the answer names a cause that all requests share, such as the key or the
    model: then a few of them prove what else takes :data:`ALIKE`. ``unsigned`` is a 401.
    """

    code: str
    message: str = field(repr=False)
    reason: str = field(repr=False)
    likeness: str
    named: bool = False
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class SharedPause:
    """A rate limit: everyone on the quota waits (by backoff where ``wait_seconds`` is None)."""

    wait_seconds: float | None
    slow_down: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """The model wants this body parameter under another name."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The server refuses this optional body parameter."""

    param: str


@dataclass(frozen=True, slots=True)
class Backoff:
    """It may pass: try again later, and not before ``wait_seconds`` if the provider names a time.

    ``final`` where the provider says that it will not pass. ``lasting`` says what to do about a
    cause that no waiting mends, such as a wrong address; it counts until something has succeeded.
    """

    code: str
    message: str = field(repr=False)
    final: bool = False
    wait_seconds: float = 0.0
    lasting: str = field(default="", repr=False)


Verdict: TypeAlias = Split | Dead | PauseJob | Refusal | SharedPause | Rename | Drop | Backoff


def judge(
    error: ProviderError,
    *,
    pieces: int,
    halved: bool = False,
    optional_parameters: Set[str] = frozenset(),
    renamed: Set[str] = frozenset(),
    accepted: bool = False,
    asked: Collection[str] = (),
) -> Verdict:
    """The decision on an answer that is no success.

    Args:
        error: what the provider said.
        pieces: how many pieces the request carries.
        halved: whether the request was halved before for a long wait.
        optional_parameters: body parameters that the kind can do without, as far as they were sent.
        renamed: body parameters that were sent under their other name already.
        accepted: whether a request with these parameters has succeeded before. Then only the
            error's ``param`` is believed: its message may quote a row that speaks of parameters.
        asked: the texts that were sent, which a message may quote.
    """
    status, code, message = error.status, error.code, error.message
    lowered = message.lower()
    if _is_too_large(status, code, lowered):
        return Split("request_too_large", message)
    # The code or the words decide, whatever the 4xx: credit that is used up comes with any.
    if status == 402 or (400 <= status < 500 and says_no_credit(code, message, asked, status)):
        return PauseJob(f"the provider says {code or status}: {message}")
    if status == 429 or (
        status >= 400 and status != 401 and says_too_many(f"{code} {error.type}", message, asked)
    ):
        return _judge_rate_limit(error, lowered, can_halve=pieces > 1 and not halved)
    if 400 <= status < 500 and code in _ROW_CODES:
        return _judge_rows(error, pieces)
    if status in (400, 422) and code in _BADLY_MADE_CODES:
        return _refusal(error, named=False, reason=f"{_BADLY_MADE} ({message})")
    if status == 501 and code == _NOT_SUPPORTED:
        return _refusal(error, named=True)
    if status in (400, 422):
        meant = status_meant(f"{code} {error.type}", message, asked)
        if meant is not None:
            return _refusal(replace(error, status=meant), named=True)
        said = "" if accepted or error.param is not None else lowered
        return (
            None
            if _is_too_long(error, lowered)
            else _judge_parameters(error, lowered, said, asked, optional_parameters, renamed)
        ) or _judge_rows(error, pieces)
    if status >= 500 and not accepted:
        refused = _refused_of(optional_parameters, error.param, lowered, asked)
        if refused is not None:  # a server that fails at what it does not know
            return Drop(refused)
    if status in _PASSING or status >= 500 or (status in _PASSING_AT_FIRST and not accepted):
        wait = min(error.retry_after or 0.0, _LONGEST_BACKOFF_SECONDS)
        return Backoff(code or f"http_{status}", message, error.should_retry is False, wait)
    return _refusal(error, named=_names_a_shared_cause(error))


def after_attempts(
    attempts: int,
    *,
    pieces: int,
    halved: bool = False,
    others_succeed: bool,
    final: bool,
    code: str,
    message: str,
) -> Split | Dead | None:
    """What becomes of a request after ``attempts`` passing failures; None: wait and try again.

    Without a success elsewhere the failure is not the request's own, and it is never given up, even
    if the provider calls it ``final``.
    """
    if not others_succeed or not (final or attempts >= patience(pieces, halved=halved)):
        return None
    return Split(code, message) if pieces > 1 else Dead(code, message)


def after_refusals(
    refusals: int, *, pieces: int, halved: bool, refusal: Refusal
) -> Split | Dead | None:
    """What becomes of a request that is refused while others succeed; None: try it again.

    A stray status passes. Many pieces are halved soon: their halves are a try, too.
    """
    if pieces > 1:
        enough = halved or refusals >= MAX_REFUSALS - 1
        return Split(refusal.code, refusal.message) if enough else None
    return Dead(refusal.code, refusal.message) if refusals >= MAX_REFUSALS else None


def patience(pieces: int, *, halved: bool) -> int:
    """How many attempts a request has; fewer where its halves will be tries, too."""
    return TRIES_BEFORE_HALVING if halved and pieces > 1 else MAX_ATTEMPTS


def backoff_seconds(attempt: int, chance: Chance) -> float:
    """Full jitter: up to 0.5 s after the first attempt, doubling to 60 s."""
    ceiling = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** min(attempt - 1, 10))
    return chance.uniform(0.0, ceiling)


def pause_seconds(pauses: int, chance: Chance) -> float:
    """How long everyone waits for a limit that says no time, after so many pauses in a row.

    Each time half as long again, so that what is waited for is found soon after it has come: where
    a window ended, most of the pause would be lost. Half a minute at the most: a limit of a minute
    is half full again by then.
    """
    longer = _FIRST_PAUSE_SECONDS * _PAUSE_GROWTH ** min(pauses - 1, 20)
    return min(_LONGEST_PAUSE_SECONDS, longer * chance.uniform(0.75, 1.25))


def _is_too_large(status: int, code: str, message: str) -> bool:
    if status == 413 or (status == 400 and code == "max_tokens_per_request"):
        return True
    return (status == 429 or status >= 500) and any(text in message for text in _TOO_LARGE)


def _is_too_long(error: ProviderError, lowered: str) -> bool:
    """Whether it is this row that is refused, whatever parameter the error names.

    vLLM names ``input_tokens`` or ``max_tokens`` where a prompt and its answer exceed the context:
    a shorter row has room for both.
    """
    if error.code in _ROW_CODES:
        return True
    param = error.param
    names_length = param is None or param in _LENGTH_PARAMS or _INPUT_PARAM.match(param)
    return bool(names_length) and _TOO_LONG in lowered


def _judge_rate_limit(error: ProviderError, lowered: str, *, can_halve: bool) -> Verdict:
    wait = error.retry_after
    said = f"{lowered} {error.quota.lower()}"
    for_long = _DAILY.search(said) or _NOTHING.search(said)
    if for_long or (wait or 0.0) > LONGEST_WAIT_SECONDS:
        if can_halve:
            return Split(error.code or "rate_limit_exceeded", error.message)
        waits = (wait, error.said_wait, error.reset_after)
        wait = next((seconds for seconds in waits if seconds is not None), None)
        return PauseJob(f"the provider asks for a longer pause: {error.message}", wait)
    return SharedPause(wait, slow_down=error.code == "slow_down")


def _judge_parameters(
    error: ProviderError,
    lowered: str,
    said: str,
    asked: Collection[str],
    optional_parameters: Set[str],
    renamed: Set[str],
) -> Verdict | None:
    """A refusal of a parameter, or None; ``said`` is the message as far as it may name one."""
    code, param = error.code, error.param
    unsupported = code.startswith("unsupported_")
    if "max_tokens" not in renamed and (
        (param == "max_tokens" and (unsupported or "max_completion_tokens" in lowered))
        or ("max_tokens" in said and "max_completion_tokens" in said)
    ):
        return Rename("max_tokens", "max_completion_tokens")
    if refused := _refused_of(optional_parameters, param, said, asked):
        return Drop(refused)
    if unsupported or (param is not None and not _INPUT_PARAM.match(param)):
        reason = f"the provider refuses {param or 'a parameter'} of every request: {error.message}"
        return _refusal(error, named=True, reason=reason)
    return None


def _refused_of(
    optional_parameters: Set[str], param: str | None, said: str, asked: Collection[str]
) -> str | None:
    """The parameter that is refused, of those that can be left out; a quotation names none."""
    for optional in sorted(optional_parameters):
        if param is not None and (param == optional or param.startswith(f"{optional}.")):
            return optional
        names = [n for n in (optional, *_ALSO_CALLED.get(optional, ())) if n in said]
        if any(all(name not in text.lower() for text in asked) for name in names):
            return optional
    return None


def _judge_rows(error: ProviderError, pieces: int) -> Verdict:
    code = error.code
    if pieces > 1:
        return Split(code or "invalid_request", error.message)
    return Dead(code or "invalid_request", error.message)


def _refusal(error: ProviderError, *, named: bool, reason: str = "") -> Refusal:
    status, message = error.status, error.message
    if 300 <= status < 400 and error.location:
        message = f"redirected to {error.location}: {message}"
    advice = _ADVICE.get(status, _REDIRECTED if 300 <= status < 400 else _ODD)
    advice = advice.replace("{status}", str(status)).replace("{message}", message)
    return Refusal(
        code=error.code or f"http_{status}",
        message=message,
        reason=reason or advice,
        likeness=f"{status} {error.code}",
        named=named,
        unsigned=status == 401,
    )


def _names_a_shared_cause(error: ProviderError) -> bool:
    """Whether an answer names what all requests share: the key, the model, the address."""
    status = error.status
    if status in (401, 407, 410) or (300 <= status < 400 and error.location):
        return True
    words = f"{error.code} {error.type}".lower()
    return status in (403, 404) and any(cause in words for cause in _SHARED_CAUSES)


_PASSING = frozenset({408, 409})
_PASSING_AT_FIRST = frozenset({421, 424, 425, 498, 499})
"""What servers answer while they are busy or begin to work; once others succeed, it is the row."""
_SHARED_CAUSES = (
    "model", "deployment", "not_found", "notfound", "api_key", "auth", "permission", "access",
    "organization", "project", "account", "country", "region",
)  # fmt: skip
# A 501 may pass as any 5xx may: a proxy answers it for a backend that is being replaced. But
# llama.cpp says with it that it was started without what is asked for, and would say so for ever:
# that one is a refusal of every request, like ``unsupported_*``, and waiting helps nobody.
_BADLY_MADE = "the model does not keep to the form that is asked for: take another --model"
_ODD = "the server answers HTTP {status}: check --base-url ({message})"
_REDIRECTED = "the server redirects requests: set --base-url to where the API is ({message})"
_ADVICE = {
    401: "the provider does not accept the key: check OPENAI_API_KEY or --api-key-env ({message})",
    403: "the key may not use this model or endpoint: check its permissions ({message})",
    404: "the provider knows no such model or path: check --model and --base-url ({message})",
    405: "the server accepts no requests at this path: check --base-url ({message})",
    407: "the proxy wants a password: put it into HTTPS_PROXY or HTTP_PROXY ({message})",
    410: "the model or path is gone: check --model and --base-url ({message})",
    501: "the server does not offer this: check --base-url and how it was started ({message})",
}
