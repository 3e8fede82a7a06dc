"""What was measured, beside what is to be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One figure; ``least`` or ``most`` is what is to be reached (None where it only informs)."""

    name: str
    value: float
    unit: str = ""
    least: float | None = None
    most: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether it is what it should be; None where nothing is asked for."""
        if self.least is not None:
            return self.value >= self.least
        if self.most is not None:
            return self.value <= self.most
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "reached": self.reached}

    def line(self) -> str:
        """One line of the table."""
        wanted = ""
        if self.least is not None:
            wanted = f">= {_figure(self.least)}"
        elif self.most is not None:
            wanted = f"<= {_figure(self.most)}"
        verdict = {True: "reached", False: "MISSED", None: ""}[self.reached]
        value = f"{_figure(self.value)} {self.unit}".rstrip()
        return f"{self.name:<58} {value:>18} {wanted:>12}  {verdict}"


def middle(values: Sequence[float]) -> float:
    """The median."""
    return float(median(values))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3f}"
