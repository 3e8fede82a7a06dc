"""An answer whose framing breaks after its head is lost at once, however it is cut up."""

from __future__ import annotations

import time

import pytest

from batcher.core.errors import TransportError
from tests.adapters.providers.raw_server import CHUNKED, Peer, asking, chunk, echo

HEAD = CHUNKED % (b"200 OK", b"Content-Type: application/json\r\n")
BODY = chunk(b'{"asked": ')
BROKEN = {
    "no number": b'zz\r\n"0"}\r\n0\r\n\r\n',
    "a longer chunk than it says": b'2\r\n"0"}\r\n0\r\n\r\n',
    "a page instead": b"<html>502 Bad Gateway</html>",
    "another answer instead": echo(b"1"),
    "a size beyond all": b"f" * 40 + b"\r\n{}",
}


@pytest.mark.parametrize("before", [HEAD, HEAD + BODY], ids=["after the head", "after a chunk"])
@pytest.mark.parametrize("ends", [True, False], ids=["closed", "kept open"])
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("apart", [True, False], ids=["in a later segment", "in the same"])
async def test_an_answer_with_a_broken_chunk_is_not_waited_for(
    before: bytes, broken: bytes, ends: bool, apart: bool
) -> None:
    """It would take the request's whole time, ten minutes, in each of its attempts."""

    async def talk(peer: Peer) -> None:
        while (body := await peer.request()) is not None:
            if body == b"good":
                peer.write(echo(body))
                continue
            if apart:
                peer.write(before)
                await peer.rest(0.02)
                peer.write(broken)
            else:
                peer.write(before + broken)
            if ends:
                return

    async with asking(talk, timeout_seconds=30.0) as provider:
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(TransportError) as caught:
                await provider.post("/x", b"bad", "r")
            assert time.monotonic() - started < 10
            assert caught.value.maybe_billed
            reply = await provider.post("/x", b"good", "r")
            assert reply.body == b'{"asked": "good"}'
