"""The API, as the hot path sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole HTTP answer. ``headers`` compare names without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Provider(Protocol):
    """The hot path to the API: one POST, one answer, no retries."""

    async def post(self, path: str, body: bytes, request_id: str) -> Reply:
        """Send and read the whole answer, whatever its status.

        ``request_id`` goes with it: a provider's support can find by it a request that got no
        answer, too.

        Raises:
            batcher.core.errors.TransportError: no whole answer came.
        """
        ...
