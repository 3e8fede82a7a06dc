"""The API, as the hot path sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Reply(NamedTuple):
    """One whole HTTP answer. ``headers`` compare names without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Its status: headers and body may echo a key or a row."""
        return f"<Reply {self.status}>"


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
