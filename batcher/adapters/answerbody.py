"""The body of an answer, read in blocks and no further than a ceiling, decompressed.

aiohttp decompresses a little at a time and stops reading from the socket while nobody takes what it
has; so what a compression bomb or an endless body may occupy is the ceiling and two blocks.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from batcher.core.errors import TransportError

if TYPE_CHECKING:
    import aiohttp

    from batcher.ports import AnswerRoom

BLOCK_BYTES = 2**18
"""What a connection buffers of an answer before anybody has asked for more, twice at the most."""
MOST_ERROR_BYTES = 2**20
"""An answer that is no success says why at its beginning."""


class AnswerTooLarge(TransportError):
    """The answer exceeds its ceiling: to ask again would bring, and cost, the same."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            "answer_too_large",
            f"the answer is larger than {most_bytes:,} bytes, which is more than was asked for can "
            "take; --max-answer-bytes sets another limit",
            maybe_billed=True,
            final=True,
        )


async def read_body(
    response: aiohttp.ClientResponse, request_id: str, most_bytes: int, room: AnswerRoom | None
) -> bytes:
    """The whole body; of an answer that is no success, its beginning.

    ``room`` is asked for what goes beyond the first block, for the request of that id.

    Raises:
        AnswerTooLarge: a success has more than ``most_bytes``; the connection is closed.
    """
    content = response.content
    if content.is_eof() and content.total_bytes <= min(most_bytes, BLOCK_BYTES):
        return content.read_nowait()
    good = 200 <= response.status < 300
    most = most_bytes if good else min(most_bytes, MOST_ERROR_BYTES)
    expected = _told_length(response)
    told = BytesIO()  # grows in place: blocks that are joined are there twice
    size, taken = 0, BLOCK_BYTES
    while size <= most and expected <= most:
        block = await content.readany()
        if not block:
            return told.getvalue()
        size += told.write(block)
        del block
        if room is not None and size > taken:
            more = max(expected, min(2 * size, most)) - taken
            await room.grow(request_id, more)
            taken += more
    response.close()
    if good:
        raise AnswerTooLarge(most_bytes)
    return told.getvalue()[:most]


def _told_length(response: aiohttp.ClientResponse) -> int:
    """How long the body says that it is; 0 where it does not, or where it will grow."""
    if "Content-Encoding" in response.headers:
        return 0
    return response.content_length or 0
