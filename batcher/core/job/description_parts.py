"""The parts of a job's description: its work, its input, its provider and its delivery.

A :class:`batcher.core.job.spec.JobSpec` is flat, as a command line and a job file are; each of its
settings belongs to exactly one of the first three parts. The fourth, what ``-o`` and its like say,
is :class:`batcher.core.job.delivery.DeliverySpec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

if TYPE_CHECKING:
    from batcher.core.job.spec import JobSpec


class _Part:
    """Some settings of a spec, most under the same names."""

    __slots__ = ()
    renamed: ClassVar[Mapping[str, str]] = {}
    """What a setting is called in the spec, by its name here."""

    @classmethod
    def of(cls, spec: JobSpec) -> Self:
        """This part of a spec."""
        names = _SETTINGS[cls]
        return cls(**{name: getattr(spec, setting) for name, setting in names.items()})

    def settings(self) -> dict[str, Any]:
        """The settings by their names in a spec."""
        return {setting: getattr(self, name) for name, setting in _SETTINGS[type(self)].items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPart(_Part):
    """What is done with the rows, and how far that may go."""

    kind: str
    model: str
    options: Mapping[str, Any] = field(repr=False)
    params: Mapping[str, Any]
    name: str | None
    since_last: bool
    tokenizer: str | None
    priority: Literal["high", "normal", "low"]
    max_cost: Decimal | None
    cost_columns: bool
    on_error: Literal["keep", "stop"]
    outage_timeout: float
    grace_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPart(_Part):
    """Where the rows come from and how they are read; ``address`` is a path, ``-`` or a URL."""

    renamed: ClassVar[Mapping[str, str]] = {"address": "input"}

    address: str
    id: str | None
    format: Literal["csv", "json", "jsonl", "parquet"] | None
    delimiter: str | None
    encoding: str | None
    limit: int | None
    on_bad_row: Literal["stop", "skip"]
    max_input_bytes: int | None
    keep_input: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPart(_Part):
    """Who answers, with what credential and within which limits.

    ``name`` is what the provider is called where it is configured, None where the job says all of
    it itself.
    """

    renamed: ClassVar[Mapping[str, str]] = {"name": "provider"}

    name: str | None
    base_url: str
    api_version: str | None
    api_key_env: str
    headers: Mapping[str, str]
    idempotency_header: str
    timeout: float
    max_answer_bytes: int | None
    rpm: int | None
    tpm: int | None
    concurrency: int
    price: str | None
    service_tier: Literal["auto", "default", "flex", "priority"] | None
    max_inputs: int | None
    max_request_tokens: int | None
    max_input_tokens: int | None
    simulate: bool
    via: Literal["online", "replay"]

    @property
    def answers_from(self) -> str:
        """Whose answers the results are made of: a base URL, or what stands in for one."""
        if self.via == "replay":
            return "replay"
        return "simulate" if self.simulate else self.base_url


PARTS: tuple[type[_Part], ...] = (WorkPart, InputPart, ProviderPart)
_SETTINGS: Mapping[type[_Part], Mapping[str, str]] = {
    part: {each.name: part.renamed.get(each.name, each.name) for each in fields(part)}  # type: ignore[arg-type]
    for part in PARTS
}
