"""What a simulated provider is told to be: its limits, its manners and its faults.

A frozen value. Settings change while the provider runs by making another one
(`changed`), so that a half-applied change cannot exist. Knows nothing of HTTP.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from batcher.simulator.limits import LimitUnit, Shape

Charge = Literal["admission", "usage"]
Outage = Literal["503", "reset"]
Tier = Literal["default", "flex", "priority"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Settings of one simulated provider; raises `ValueError` for an impossible one.

    Rates are shares of the requests (0.01 is one in a hundred). `rpm` and `tpm` hold for each
    model by itself, as they do at OpenAI; None means unlimited, and then the headers of that
    limit are absent.
    """

    rpm: float | None = None
    """Requests per minute."""
    tpm: float | None = None
    """Tokens per minute."""
    bucket_seconds: float = 60.0
    """Capacity of both buckets, in seconds of their rate."""
    limit_shape: Shape = "bucket"
    """What is counted: buckets that refill evenly, fixed windows or sliding ones."""
    window: float = 60.0
    """Length of a fixed or sliding window, in seconds; it holds that much of a minute's limit."""
    window_age: float | None = None
    """How old a fixed window is when a model's first request comes; None counts from the clock."""
    limit_unit: LimitUnit = "minute"
    """What `x-ratelimit-limit-*` states: the figure of a minute, or of a bucket or window."""
    charge: Charge = "admission"
    """`usage` settles the difference to the real usage when a chat answer is sent."""
    rate_limit_headers: bool = True
    """Whether answers carry `x-ratelimit-*`."""
    retry_after: bool = True
    """Whether a 429 carries `retry-after` and `retry-after-ms`."""
    should_retry: bool | None = None
    """What `x-should-retry` says on every error; None leaves it out."""
    latency_ms: float = 0.0
    """Mean time that an answer takes."""
    latency_spread: float = 0.0
    """Sigma of the lognormal latency; 0 is a fixed latency."""
    error_rate: float = 0.0
    """Share answered 500."""
    hang_rate: float = 0.0
    """Share never answered."""
    disconnect_rate: float = 0.0
    """Share whose connection closes in the middle of the body."""
    garbage_rate: float = 0.0
    """Share answered 200 with a body that is not JSON."""
    outage: Outage | None = None
    """While set, every call is answered 503, or its connection is reset."""
    encoding_format: bool = True
    """Whether embeddings requests may say `encoding_format`; other servers refuse or ignore it."""
    dimensions: int = 1536
    """Length of a vector where the request does not ask for one."""
    output_tokens: int = 24
    """Mean length of a chat answer, in tokens."""
    cached_share: float = 0.0
    """Share of a chat's prompt that usage says was read from the cache."""
    written_share: float = 0.0
    """Share of it that usage says was written to the cache."""
    reasoning_tokens: int = 0
    """Tokens of reasoning before a chat answer: billed, not shown, part of its length."""
    rejected_tokens: int = 0
    """Tokens of a prediction that a chat answer does not use: billed likewise."""
    project_tier: Tier = "default"
    """What serves a chat request that leaves its service tier to the project."""
    usage: bool = True
    """Whether answers state their usage."""
    seed: int = 0
    """Of the random faults and latencies; answers do not depend on it."""
    max_inputs: int = 2048
    """Inputs in one embeddings request."""
    max_request_tokens: int = 300_000
    """Tokens in one embeddings request."""
    max_input_tokens: int = 8192
    """Tokens in one embeddings input."""
    context_window: int = 128_000
    """Tokens of a chat's messages and its answer."""
    idempotency: bool = False
    """Whether answers are kept for their `Idempotency-Key`, and served again without a charge."""
    api_key: str | None = dataclasses.field(default=None, repr=False)
    """Where set, any other key is answered 401."""

    def __post_init__(self) -> None:
        for name in ("rpm", "tpm"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be above 0, not {value}")
        for name in ("bucket_seconds", "window"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be above 0, not {value}")
        positive = ("latency_ms", "latency_spread", "reasoning_tokens", "rejected_tokens")
        for name in (*positive, "window_age"):
            value = getattr(self, name)
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"{name} must not be negative, not {value}")
        rates = ("error_rate", "hang_rate", "disconnect_rate", "garbage_rate")
        for name in (*rates, "cached_share", "written_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if sum(getattr(self, name) for name in rates) > 1:
            raise ValueError(f"the sum of {', '.join(rates)} must not exceed 1")
        for name in (
            "dimensions",
            "output_tokens",
            "max_inputs",
            "max_request_tokens",
            "max_input_tokens",
            "context_window",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    def limit_seconds(self) -> float:
        """The capacity of buckets in seconds of their rate, or the length of windows."""
        return self.bucket_seconds if self.limit_shape == "bucket" else self.window

    def changed(self, changes: Mapping[str, Any]) -> SimulatorConfig:
        """Return a copy with `changes`, as they come from JSON: field names and plain values.

        `outage` may be true (503) or false besides its own values. Raises `ValueError` for an
        unknown name or a value of the wrong type.
        """
        values = dict(changes)
        if isinstance(values.get("outage"), bool):
            values["outage"] = "503" if values["outage"] else None
        hints = get_type_hints(SimulatorConfig)
        for name, value in values.items():
            if name not in hints:
                raise ValueError(f"there is no setting {name!r}; there are {', '.join(hints)}")
            if not _fits(value, hints[name]):
                raise ValueError(f"{name} cannot be {value!r}")
        return dataclasses.replace(self, **values)

    def as_dict(self) -> dict[str, Any]:
        """Return every setting but the key, ready for JSON."""
        values = dataclasses.asdict(self)
        values["api_key"] = None if self.api_key is None else "***"
        return values


def _fits(value: object, hint: Any) -> bool:
    """Whether a JSON value may stand where a field has this type."""
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(hint, type):
        return type(value) is hint
    options = get_args(hint)
    return any(_fits(value, o) if isinstance(o, type) else value == o for o in _flat(options))


def _flat(options: tuple[Any, ...]) -> list[Any]:
    """The members of a union, with those of literals among them spread out."""
    flat: list[Any] = []
    for option in options:
        flat.extend([option] if isinstance(option, type | str) else get_args(option))
    return flat
