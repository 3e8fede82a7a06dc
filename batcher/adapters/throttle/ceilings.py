"""The user's ceilings of a process: of all jobs that run here on a quota, the lowest."""

from __future__ import annotations

import math
from collections.abc import Iterator

from batcher.core.throttle.observation import is_limit


class Ceilings:
    """Which ceilings hold for a quota, requests and tokens a minute; None is none."""

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[float | None, float | None]]] = {}

    def add(self, quota: str, rpm: float | None, tpm: float | None) -> None:
        """Keep a quota to ceilings.

        Raises:
            ValueError: a ceiling that is no possible limit.
        """
        for ceiling in (rpm, tpm):
            if ceiling is not None and not is_limit(ceiling):
                raise ValueError(f"a limit must be above 0 and finite, not {ceiling}")
        self._held.setdefault(quota, []).append((rpm, tpm))

    def remove(self, quota: str, rpm: float | None, tpm: float | None) -> None:
        """The opposite of :meth:`add`."""
        self._held[quota].remove((rpm, tpm))

    def of(self, quota: str) -> tuple[float | None, float | None]:
        """The lowest of those that are held."""
        held = self._held.get(quota, ())
        return _least(rpm for rpm, _ in held), _least(tpm for _, tpm in held)


def _least(ceilings: Iterator[float | None]) -> float | None:
    least = min((ceiling for ceiling in ceilings if ceiling is not None), default=math.inf)
    return least if least < math.inf else None
