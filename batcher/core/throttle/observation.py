"""What one answer says of the limits, read from its headers.

Decides which figures can be believed, not what follows from them
(:mod:`batcher.core.throttle.quota`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

LEAST_LIMIT = 0.001
"""The least figure a minute that is taken for a limit."""
_EPOCH_SECONDS = 1e8
_EPOCH_MILLISECONDS = 1e11
"""Numbers from here on are no durations but times since 1970."""
_SKEW_SECONDS = 2.0
"""Clocks that are further apart than this are not read as one."""
_MINUTE = 60.0

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?"
    r"(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?(?:(\d+(?:\.\d+)?)[uµ]s)?"
)
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001, 0.000_001)
_NAME = re.compile(
    r"x-ratelimit-(?:([a-z_]+)-)?(limit|remaining|reset)-(req|requests|tokens)(?:-minute)?"
)
"""OpenAI's names and their dialects: Mistral and Cerebras tell the minute, LiteLLM's proxy whose
limit it is."""
_ONE_KIND_OF_TOKENS = ("_itpm", "_otpm")
"""Limits of prompts or of completions alone, which nothing here counts apart."""
_PARAMETER = re.compile(r"([a-z]+)\s*=\s*\"?(\d+(?:\.\d+)?)", re.IGNORECASE)


class Observation(NamedTuple):
    """What one answer said of the limits; None where it said nothing.

    A tuple, since one is made for every answer, and a frozen dataclass takes four times as long.

    ``sent_at`` is when the request was really sent (monotonic); ``admitted`` is False for a 429.
    Limits are as stated: of a minute, unless their ``reset`` proves otherwise. ``used_tokens`` is
    the usage in the answer's body, prompt and completion together. Resets and ``retry_after`` are
    in seconds from the answer on; a limit's reset is rounded to ``step`` seconds, 0 for none.
    """

    sent_at: float
    admitted: bool
    limit_requests: float | None = None
    limit_tokens: float | None = None
    remaining_requests: float | None = None
    remaining_tokens: float | None = None
    used_tokens: int | None = None
    reset_requests: float | None = None
    reset_tokens: float | None = None
    retry_after: float | None = None
    step: float = 0.0


class _Told(NamedTuple):
    """One limit as a family of headers tells it."""

    limit: float | None
    remaining: float | None
    reset: str | None


_NOTHING = _Told(None, None, None)


def observation_from_headers(
    headers: Mapping[str, str],
    *,
    sent_at: float,
    admitted: bool,
    used_tokens: int | None = None,
    wall: float | None = None,
    retry_after: float | None = None,
) -> Observation:
    """Read the limits, in whichever dialect they are told.

    OpenAI's ``x-ratelimit-*-requests`` and ``-tokens`` in several dialects, Anthropic's
    ``anthropic-ratelimit-*``, the ``ratelimit-*`` fields of the IETF's drafts, and
    ``x-ratelimit-limit`` with its like. What is malformed or impossible is ignored, as if it were
    absent. A limit of 0 or less is no limit (gateways write -1 for "unlimited"), and then what
    remains of it means nothing either.

    Args:
        headers: must find lower-case names.
        sent_at: when the request was sent.
        admitted: whether it was let in.
        used_tokens: its usage.
        wall: Unix time of the answer, for times of the day; without it these are ignored.
        retry_after: seconds for which a 429 asks.
    """
    requests, tokens = _told(headers)
    reset_requests = reset_tokens = None
    step = 0.0
    if requests.reset is not None or tokens.reset is not None:
        now = _server_time(headers, wall)
        reset_requests, step = _reset(requests.reset, now)
        reset_tokens, step_tokens = _reset(tokens.reset, now)
        step = max(step, step_tokens)
    return Observation(
        sent_at,
        admitted,
        requests.limit if is_limit(requests.limit or 0) else None,
        tokens.limit if is_limit(tokens.limit or 0) else None,
        requests.remaining,
        tokens.remaining,
        used_tokens,
        reset_requests,
        reset_tokens,
        retry_after,
        step,
    )


def is_limit(per_minute: float) -> bool:
    """Whether a figure can be a limit: finite, and enough for one unit within some hours."""
    return LEAST_LIMIT <= per_minute < math.inf


def _told(headers: Mapping[str, str]) -> tuple[_Told, _Told]:
    """The limits of requests and of tokens, from the first family that tells any."""
    of_requests, of_tokens, others = _layout(tuple(headers))
    requests, tokens = _least(headers, of_requests), _least(headers, of_tokens)
    if requests is not _NOTHING or tokens is not _NOTHING or not others:
        return requests, tokens
    requests = _family(headers, "anthropic-ratelimit-requests-{}")
    tokens = _family(headers, "anthropic-ratelimit-tokens-{}")
    if requests is not _NOTHING or tokens is not _NOTHING:
        return requests, tokens
    for name in ("x-ratelimit-{}", "ratelimit-{}", "x-rate-limit-{}"):
        requests = _family(headers, name)
        if requests is not _NOTHING:
            return _in_its_window(headers, requests), _NOTHING
    return _in_its_window(headers, _combined(headers)), _NOTHING


_Names = tuple[str, str, str]
"""Of a limit, of what remains of it, and of its reset; empty where there is no such header."""


@lru_cache(maxsize=128)
def _layout(names: tuple[str, ...]) -> tuple[tuple[_Names, ...], tuple[_Names, ...], bool]:
    """Which headers tell of requests and of tokens, and whether others may tell of limits.

    A provider's answers have the same headers again and again.
    """
    found: dict[str, dict[str, list[str]]] = {"requests": {}, "tokens": {}}
    others = False
    for name in names:
        match = _NAME.fullmatch(name.lower())
        if match is None:
            others = others or "rate" in name.lower()
        elif not (match[1] or "").endswith(_ONE_KIND_OF_TOKENS):
            what = "tokens" if match[3] == "tokens" else "requests"
            told = found[what].setdefault(match[1] or "", ["", "", ""])
            told[("limit", "remaining", "reset").index(match[2])] = name
    requests, tokens = (
        tuple((limit, left, reset) for limit, left, reset in one.values() if limit or left)
        for one in found.values()
    )
    return requests, tokens, others


def _least(headers: Mapping[str, str], told: tuple[_Names, ...]) -> _Told:
    """One limit, or what holds where several do: the lowest of them, and the least that remains."""
    if not told:
        return _NOTHING
    every = []
    for limit, left, reset in told:
        every.append(
            _Told(_number(headers.get(limit)), _number(headers.get(left)), headers.get(reset))
        )
    if len(every) == 1:
        return every[0]
    # with a limit of 0 or less nothing is limited
    every = [one for one in every if one.limit is not None and is_limit(one.limit)] or every
    scarcest = min(every, key=lambda one: math.inf if one.remaining is None else one.remaining)
    limits = [one.limit for one in every if one.limit is not None]
    return scarcest._replace(limit=min(limits, default=None))


@lru_cache(maxsize=16)
def _names(pattern: str) -> tuple[str, str, str]:
    return pattern.format("limit"), pattern.format("remaining"), pattern.format("reset")


def _family(headers: Mapping[str, str], pattern: str) -> _Told:
    limit_name, remaining_name, reset_name = _names(pattern)
    limit, remaining = headers.get(limit_name), headers.get(remaining_name)
    if limit is None and remaining is None:
        return _NOTHING
    return _Told(_number(limit), _number(remaining), headers.get(reset_name))


def _combined(headers: Mapping[str, str]) -> _Told:
    """``RateLimit: limit=100, remaining=50, reset=5`` and ``RateLimit: "default";r=50;t=30``."""
    text = headers.get("ratelimit")
    if text is None:
        return _NOTHING
    found = {name.lower(): float(value) for name, value in _PARAMETER.findall(text)}
    reset = found.get("reset", found.get("t"))
    limit = found.get("limit", _policy(headers).get("q"))
    remaining = found.get("remaining", found.get("r"))
    return _Told(limit, remaining, None if reset is None else f"{reset:g}")


def _in_its_window(headers: Mapping[str, str], told: _Told) -> _Told:
    """The limit as that of a minute, where a policy names its window: ``100;w=20``."""
    if told.limit is None:
        return told
    window = _policy(headers).get("w")
    return told._replace(limit=told.limit * _MINUTE / window) if window else told


def _policy(headers: Mapping[str, str]) -> dict[str, float]:
    """The quota and the window, in seconds, of the first policy that names one."""
    text = headers.get("ratelimit-policy") or headers.get("ratelimit-limit") or ""
    first = text.partition(",")[0]
    return {name.lower(): float(value) for name, value in _PARAMETER.findall(first)}


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None


def _reset(text: str | None, now: float | None) -> tuple[float | None, float]:
    """Seconds until a limit is reset, and to what they are rounded."""
    if text is None:
        return None, 0.0
    value, since_epoch, step = _read_reset(text)
    if value is None or not since_epoch:
        return value, step
    return (None, 0.0) if now is None else (max(0.0, value - now), step)


@lru_cache(maxsize=1024)
def _read_reset(text: str) -> tuple[float | None, bool, float]:
    """Seconds, whether they count from 1970, and to what they are rounded."""
    text = text.strip()
    value = _number(text)
    if value is not None:
        if value >= _EPOCH_MILLISECONDS:
            return value / 1000, True, 1.0 if value % 1000 == 0 else 0.0
        return value, value >= _EPOCH_SECONDS, 1.0 if value == math.floor(value) else 0.0
    match = _DURATION.fullmatch(text)
    if match is not None and any(match.groups()):
        parts = zip(match.groups(), _UNITS, strict=True)
        seconds = sum(float(part) * unit for part, unit in parts if part)
        whole = match[5] is None and match[6] is None and seconds == math.floor(seconds)
        return seconds, False, 1.0 if whole and seconds > 0 else 0.0
    moment = _moment(text)
    if moment is None:
        return None, False, 0.0
    return moment, True, 1.0 if moment == math.floor(moment) else 0.0


@lru_cache(maxsize=64)
def _moment(text: str) -> float | None:
    """Unix time of an ISO 8601 time, or of an HTTP date: the same one all second long."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def _server_time(headers: Mapping[str, str], wall: float | None) -> float | None:
    """The server's Unix time: ours, unless the answer's date contradicts it."""
    if wall is None:
        return None
    date = headers.get("date")
    said = None if date is None else _moment(date)
    return wall if said is None or abs(said - wall) <= _SKEW_SECONDS else said
