"""The body of an answer, read in blocks and no further than a ceiling, decompressed.

aiohttp stops reading from the socket while nobody takes what it has, and what is decompressed ends
at the ceiling; so what a compression bomb or an endless body may occupy is twice the ceiling and
two blocks. An answer was paid for: what only its header calls compressed is taken as it is.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import brotli
import zstandard

from batcher.core.errors import TransportError
from batcher.core.text.content_coding import KNOWN, codings

if TYPE_CHECKING:
    from batcher.adapters.providers.posting import Answer
    from batcher.ports import AnswerRoom

BLOCK_BYTES = 2**18
"""What a connection buffers of an answer before anybody has asked for more, twice at the most."""
MOST_ERROR_BYTES = 2**20
"""An answer that is no success says why at its beginning."""
_TIMES_LONGER = 8
"""About what JSON is longer than what it is compressed to, at the most."""
_LONGER_BYTES = 2**12
"""How much longer it may be, where there is nothing to compress."""
_BEGINNINGS = (b"{", b"[")
_GZIP = b"\x1f\x8b"


class AnswerTooLarge(TransportError):
    """The answer exceeds its ceiling: to ask again would bring, and cost, the same."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            "answer_too_large",
            f"the answer is larger than {most_bytes:,} bytes, more than this request can need; "
            "--max-answer-bytes sets another limit",
            maybe_billed=True,
            final=True,
        )


async def read_body(
    response: Answer, request_id: str, most_bytes: int, room: AnswerRoom | None
) -> bytes:
    """The whole body; of an answer that is no success, its beginning.

    ``room`` is asked for what goes beyond the first block, for the request of that id.

    Raises:
        AnswerTooLarge: a success has more than ``most_bytes``; the connection is closed.
        TransportError: a success is not compressed as it says.
    """
    applied = _applied(response) if "Content-Encoding" in response.headers else []
    if not applied:
        return await _read_body(response, request_id, most_bytes, room)
    body = await _read_body(response, request_id, most_bytes + _LONGER_BYTES, room)
    if room is not None and len(body) * _TIMES_LONGER > BLOCK_BYTES:
        await room.grow(request_id, min(most_bytes, len(body) * _TIMES_LONGER))
    return _decoded(body, applied, most_bytes, good=200 <= response.status < 300)


async def _read_body(
    response: Answer, request_id: str, most_bytes: int, room: AnswerRoom | None
) -> bytes:
    content = response.content
    if content.is_eof() and content.total_bytes <= min(most_bytes, BLOCK_BYTES):
        return content.read_nowait()
    good = 200 <= response.status < 300
    most = most_bytes if good else min(most_bytes, MOST_ERROR_BYTES)
    expected = _told_length(response) if good else 0
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


def _told_length(response: Answer) -> int:
    """How long the body says that it is; 0 where it does not, or where it will grow."""
    if "Content-Encoding" in response.headers:
        return 0
    told = response.headers.get("Content-Length", "")
    return int(told) if told.isdecimal() else 0


def _applied(response: Answer) -> list[str]:
    """What the body is compressed with, in the order in which that was done."""
    headers = response.headers.getall("Content-Encoding")
    return [coding for coding in codings(",".join(headers)) if coding in KNOWN]


def _decoded(body: bytes, applied: list[str], most_bytes: int, *, good: bool) -> bytes:
    """The body without these codings; of an answer that is no success, as far as that goes."""
    try:
        for coding in reversed(applied):
            body = _DECODERS[coding](body, most_bytes + 1)
            if len(body) > most_bytes:
                if good:
                    raise AnswerTooLarge(most_bytes)
                body = body[:most_bytes]
    except (zlib.error, brotli.error, zstandard.ZstdError) as exc:
        if good and not body.lstrip().startswith(_BEGINNINGS):  # a proxy may leave the header on
            message = "the answer is not compressed as its Content-Encoding says"
            advice = "turn that off in the proxy in front of the server, and check --base-url"
            raise TransportError(
                "disconnect", message, maybe_billed=True, lasting=f"{message}: {advice}"
            ) from exc
    return body


def _unzipped(body: bytes, most: int, bits: int = 31) -> bytes:
    decoder = zlib.decompressobj(bits)
    plain = decoder.decompress(body, most)
    while bits == 31 and decoder.unused_data.startswith(_GZIP) and len(plain) < most:
        body, decoder = decoder.unused_data, zlib.decompressobj(bits)
        plain += decoder.decompress(body, most - len(plain))
    if not decoder.eof and len(plain) < most:
        raise zlib.error("cut off")
    return plain


def _inflated(body: bytes, most: int) -> bytes:
    """With zlib's header, as it should be, or without, as some servers send it."""
    return _unzipped(body, most, 15 if body[:1] and body[0] & 0xF == 8 else -15)


def _unbrotlied(body: bytes, most: int) -> bytes:
    decoder = brotli.Decompressor()
    plain: bytes = decoder.process(body, output_buffer_limit=most)
    while len(plain) < most and not decoder.is_finished():
        more = decoder.process(b"", output_buffer_limit=most - len(plain))
        if not more:
            raise brotli.error("cut off")
        plain += more
    return plain


def _unzstandardized(body: bytes, most: int) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
        return reader.read(most)


_DECODERS = {
    "br": _unbrotlied,
    "deflate": _inflated,
    "gzip": _unzipped,
    "zstd": _unzstandardized,
}
