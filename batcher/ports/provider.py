"""The API, as the hot path sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

MOST_ANSWER_BYTES = 2**28
"""What no answer exceeds, unless somebody says otherwise."""


JSON_TYPE = "application/json"
"""What a body is unless somebody says otherwise."""


class Reply(NamedTuple):
    """One whole HTTP answer. ``headers`` compare names without case.

    The body of an answer that is no success may be cut off after a megabyte.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Its status: headers and body may echo a key or a row."""
        return f"<Reply {self.status}>"


class AnswerRoom(Protocol):
    """The memory that all answers share while they come in."""

    async def grow(self, request_id: str, size_bytes: int) -> None:
        """Wait until so many more bytes of an answer may be held; one answer always may go on.

        Whoever sent the request gives back all that it took, once the answer is dealt with.
        """
        ...


class Provider(Protocol):
    """The hot path to the API: one POST, one answer, no retries."""

    async def post(
        self,
        path: str,
        body: bytes,
        request_id: str,
        *,
        key: str = "",
        most_bytes: int = MOST_ANSWER_BYTES,
        room: AnswerRoom | None = None,
        content_type: str = JSON_TYPE,
    ) -> Reply:
        """Send and read the whole answer, whatever its status.

        ``request_id`` goes with it: a provider's support can find by it a request that got no
        answer, too. ``key`` goes with it as well, where a header for idempotency keys is named; a
        gateway that honours it answers a second request of the same key with what it has kept.
        An answer of more than ``most_bytes``, decompressed, is not read any further.
        ``content_type`` is that of the body.

        Raises:
            batcher.core.errors.TransportError: no whole answer came.
        """
        ...
