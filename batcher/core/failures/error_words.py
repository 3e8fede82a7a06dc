"""What an error means by its words, where no status or code says it, or a wrong one does.

Vendors and gateways say that the credit is used up with 400, 401, 403, 412 and 429 alike, and that
too much was asked for at once with 400, 403 and 500. Only phrases are taken that no other error
has, and none that the message quotes from what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_NO_CREDIT_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "insufficient_balance",
        "insufficient_credits",
        "insufficient_funds",
        "exceeded_current_quota_error",
        "credit_balance_exhausted",
        "credits_exhausted",
        "billing_not_active",
        "billing_error",
        "billing_hard_limit_reached",
        "arrearage",
        "payment_required",
    }
)
_NO_CREDIT_ENDINGS: Final = ("_spend_limit_exceeded", "_usage_limit_exceeded")
_NO_CREDIT: Final = (
    "credit balance is too low",
    "balance is insufficient",
    "balance is not enough",
    "balance is too low",
    "insufficient balance",
    "insufficient account balance",
    "insufficient credit",
    "insufficient funds",
    "not enough credits",
    "out of credits",
    "have any credits",
    "credits are depleted",
    "credits are exhausted",
    "all available credits",
    "requires more credits",
    "included credits",
    "negative credit balance",
    "monthly spending limit",
    "spending limit reached",
    "reached your spending limit",
    "exceeded your spending limit",
    "billing hard limit",
    "failure to pay",
    "account is in good standing",
    "account is in arrears",
    "余额不足",
    "额度不足",
    "额度已用尽",
    "欠费",
)
_MONEY: Final = r"budgets?|credits?|balance|funds|spend|spending(?: limits?| caps?)?|payments?"
_ALLOWED: Final = r"quotas?|usage limits?|(?:key|plan|account|subscription|usage) (?:limit|cap)"
_GONE: Final = (
    r"exceed(?:ed|s|ing)?|exhausted|reached|insufficient|overdue|depleted|used up|r[ua]n out"
    r"|too low|not enough|expired"
)
_NEAR: Final = r"""[^.!?;:"'`(){}\[\]<>\n]{0,40}"""
"""Words of one sentence: what is quoted or enumerated between them is none of it."""


def _pattern(what: str) -> re.Pattern[str]:
    either = rf"(?:{what})\b{_NEAR}\b(?:{_GONE})|(?:{_GONE})\b{_NEAR}\b(?:{what})"
    return re.compile(rf"\b(?:{either}|over (?:your |the |its )?(?:{what}))\b")


_MONEY_GONE: Final = _pattern(_MONEY)
_ALLOWED_GONE: Final = _pattern(f"{_MONEY}|{_ALLOWED}")
_OF_ANSWERS: Final = re.compile(
    r"\b(?:thinking|reasoning|tokens?|context|prompt|output|latency|time|retry)[ .]budgets?\b"
)
_RATE: Final = re.compile(r"rate limit|per (?:minute|second|hour)|/ ?min\b|\b[rt]p[ms]\b|concurren")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ROW_STATUSES: Final = frozenset({400, 413, 422, 429})
"""Statuses that speak of quotas and limits of one request, or of a minute, as well."""
_TOO_MANY_CODES: Final = (
    "throttl", "rate_limit", "ratelimit", "too_many_requests", "toomanyrequests",
    "resource_exhausted", "resourceexhausted", "request_limit_exceeded",
)  # fmt: skip
_TOO_MANY: Final = (
    "throttlingexception",
    "too many requests",
    "too many tokens, please wait",
    "too many connections, please wait",
    "rate limit exceeded",
    "rate limit reached",
    "exceeded a secondary rate limit",
    "exceeded your rate limit",
    "request limit reached",
    "request limit exceeded",
    "request was throttled",
    "requests are being throttled",
)
_WRONG_KEY: Final = (
    "api key not valid",
    "api_key_invalid",
    "api key expired",
    "expired api key",
    "expired key",
    "key has expired",
    "key is expired",
    "key has been disabled",
    "key is disabled",
    "authentication error",
    "invalid api key",
    "incorrect api key",
    "invalid api-key",
    "invalid x-api-key",
)
_NOT_SERVED: Final = (
    "model not exist",
    "model does not exist",
    "model not found",
    "invalid model",
    "unknown model",
    "unsupported model",
    "not a valid model",
    "no models loaded",
    "location is not supported",
)
_BY_CODE: Final[tuple[tuple[int, tuple[str, ...]], ...]] = (
    (402, ("insufficient_quota", "credit", "billing", "payment", "balance", "arrear")),
    (429, ("rate_limit", "ratelimit", "rate limit", "too_many", "resource_exhausted", "throttl")),
    (401, ("authentication", "unauthenticated", "unauthorized", "api_key")),
    (403, ("permission", "forbidden")),
    (404, ("not_found",)),
    (503, ("overload", "unavailable", "timeout", "timed_out", "server_error", "internal")),
    (400, ("invalid", "bad_request", "content", "moderation", "safety", "context", "too_long")),
    (400, ("validation", "missing")),
)
_BY_MESSAGE: Final[tuple[tuple[int, tuple[str, ...]], ...]] = (
    (402, _NO_CREDIT),
    (429, ("rate limit", "request limit", "too many requests", "throttl")),
    (401, ("not authenticated", "unauthorized", "invalid api key", "incorrect api key")),
    (403, ("forbidden", "permission denied", "access denied")),
    (404, ("not found", "does not exist")),
    (503, ("overloaded", "unavailable", "timed out", "timeout", "try again", "temporarily")),
    (400, ("validation error", "invalid", "must be", "must have", "field required")),
    (400, ("bad request", "too long", "context length", "not supported", "unsupported")),
    (400, ("sensitive", "moderation", "prohibited", "blocked", "flagged", "content policy")),
)


def status_of(words: str, message: str) -> int:
    """The status that an error without one stands for; 500 where nothing tells.

    ``words`` are its code and type, which are believed before its message.
    """
    if by_code := _first(words, _BY_CODE):
        return by_code
    if _says_gone(message, _MONEY_GONE, ()):
        return 402
    return _first(message, _BY_MESSAGE) or 500


def says_no_credit(code: str, message: str, asked: Iterable[str] = (), status: int = 400) -> bool:
    """Whether nothing more is served until somebody pays; ``asked`` is what was sent.

    Providers and gateways say it in ever new words, but always that some money, or what was bought
    with it, is at its end. Quotas are of that kind only where ``status`` says it of the account.
    """
    lowered = code.lower()
    if lowered in _NO_CREDIT_CODES or lowered.endswith(_NO_CREDIT_ENDINGS):
        return True
    asked = tuple(asked)
    if _says(message, _NO_CREDIT, asked):
        return True
    pattern = _MONEY_GONE if status in _ROW_STATUSES else _ALLOWED_GONE
    return any(_says_gone(text, pattern, asked) for text in (code, message))


def says_too_many(words: str, message: str, asked: Iterable[str] = ()) -> bool:
    """Whether it is a rate limit: by ``words``, its code and type, or by its message."""
    lowered = words.lower()
    if any(code in lowered for code in _TOO_MANY_CODES):
        return True
    return _says(message, _TOO_MANY, asked)


def status_meant(words: str, message: str, asked: Iterable[str] = ()) -> int | None:
    """The status that a 400 should have had: 401 for the key, 404 for the model; else None."""
    told = f"{words.replace('_', ' ')} {message}"
    if _says(told, _WRONG_KEY, asked):
        return 401
    return 404 if _says(told, _NOT_SERVED, asked) else None


def _says(message: str, phrases: tuple[str, ...], asked: Iterable[str]) -> bool:
    """Whether a message holds a phrase that is no quotation of what was asked."""
    lowered = message.lower()
    found = [phrase for phrase in phrases if phrase in lowered]
    if not found:
        return False
    texts = [text.lower() for text in asked]
    return any(all(phrase not in text for text in texts) for phrase in found)


def _says_gone(message: str, pattern: re.Pattern[str], asked: Iterable[str]) -> bool:
    """Whether a message says in its own words that something is at its end, and no rate limit."""
    words = _plain(message)
    if _RATE.search(words):
        return False
    found = pattern.search(words)
    return found is not None and all(found.group() not in _plain(text) for text in asked)


def _plain(text: str) -> str:
    """Words as they are compared: ``ExceededBudget`` and ``budget_exceeded`` are two each."""
    words = _CAMEL.sub(" ", text).replace("_", " ").replace("-", " ").lower()
    return _OF_ANSWERS.sub(" ", words)


def _first(text: str, table: tuple[tuple[int, tuple[str, ...]], ...]) -> int | None:
    lowered = text.lower()
    return next((status for status, said in table if any(word in lowered for word in said)), None)
