"""What comes in is bounded, whatever a server sends and however it is compressed."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.adapters.providers.answer_body import BLOCK_BYTES, MOST_ERROR_BYTES
from batcher.core.errors import TransportError
from batcher.engine.byte_room import ByteRoom
from tests.adapters.providers.raw_server import CHUNKED, Peer, Talk, answer, asking, chunk

CEILING = 2**20
BOMB_BYTES = 2**26


def blocks(size: int = BOMB_BYTES) -> Iterator[bytes]:
    """Blanks in JSON, without an end that is near."""
    for _ in range(size // 2**20):
        yield b" " * 2**20


def gzipped() -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(block) for block in blocks()) + packer.flush()


def deflated() -> bytes:
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(block) for block in blocks()) + packer.flush()


def zstandardized() -> bytes:
    packer = zstandard.ZstdCompressor(3).compressobj()
    return b"".join(packer.compress(block) for block in blocks()) + packer.flush()


def brotlied() -> bytes:
    packer = brotli.Compressor(quality=1)
    packed: bytes = b"".join(packer.process(block) for block in blocks()) + packer.finish()
    return packed


BOMBS = {
    "br": brotlied,
    "gzip": gzipped,
    "deflate": deflated,
    "zstd": zstandardized,
}


def endless(status: bytes = b"200 OK") -> Talk:
    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED % (status, b""))
        while True:
            peer.write(chunk(b" " * 2**16))
            await peer.writer.drain()

    return talk


@contextmanager
def at_most(size_bytes: int) -> Iterator[None]:
    """What is allocated within, server included, never exceeds this."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size_bytes
    finally:
        tracemalloc.stop()


async def lose(talk: Talk, *, most_bytes: int = CEILING) -> TransportError:
    """What becomes of a request that is answered so."""
    async with asking(talk) as provider:
        with pytest.raises(TransportError) as caught:
            await provider.post("/x", b"{}", "r", most_bytes=most_bytes)
    return caught.value


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "in chunks"])
@pytest.mark.parametrize("encoding", BOMBS)
async def test_a_compression_bomb_costs_no_memory(encoding: str, chunked: bool) -> None:
    bomb = BOMBS[encoding]()

    async def talk(peer: Peer) -> None:
        await peer.request()
        header = f"Content-Encoding: {encoding}\r\n"
        if chunked:
            peer.write(CHUNKED % (b"200 OK", header.encode()) + chunk(bomb) + chunk(b""))
        else:
            peer.write(answer(bomb, headers=header))
        await peer.request()

    with at_most(2**24):
        error = await lose(talk)
    assert error.maybe_billed
    assert (error.code, error.final) == ("answer_too_large", True)


async def test_an_endless_body_ends_at_the_ceiling() -> None:
    with at_most(2**24):
        error = await lose(endless())
    assert (error.code, error.final, error.maybe_billed) == ("answer_too_large", True, True)
    assert "--max-answer-bytes" in str(error)


async def test_a_body_that_says_that_it_is_too_long_is_not_read() -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n{")
        await peer.request()

    assert (await lose(talk)).code == "answer_too_large"


async def test_an_endless_drip_ends_by_the_time_limit() -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED % (b"200 OK", b""))
        while True:
            peer.write(chunk(b" "))
            await peer.rest()

    async with asking(talk, timeout_seconds=0.1) as provider:
        with pytest.raises(TransportError) as caught:
            await provider.post("/x", b"{}", "r")
    assert (caught.value.code, caught.value.maybe_billed) == ("timeout", True)


async def test_of_an_endless_refusal_the_beginning_counts() -> None:
    with at_most(2**24):
        async with asking(endless(b"400 Bad Request")) as provider:
            reply = await provider.post("/x", b"{}", "r")
    assert reply.status == 400
    assert len(reply.body) == MOST_ERROR_BYTES


async def test_the_next_request_goes_out_after_one_that_was_too_large() -> None:
    """Its connection is closed with all that is still on its way."""
    asked = 0

    async def talk(peer: Peer) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            await endless()(peer)
        await peer.request()
        peer.write(answer(b"{}"))

    async with asking(talk, connections=1) as provider:
        with pytest.raises(TransportError):
            await provider.post("/x", b"{}", "r", most_bytes=CEILING)
        assert (await provider.post("/x", b"{}", "r", most_bytes=CEILING)).body == b"{}"


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 3 * BLOCK_BYTES),
    over=st.integers(-2, 2),
    how=st.sampled_from(["length", "chunks", "gzip", "close"]),
    writes=st.integers(1, 500),
)
def test_the_ceiling_is_exact(size: int, over: int, how: str, writes: int) -> None:
    """A body of the ceiling's size comes through whole; one byte more does not."""
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    most = size - over
    step = size // writes + 1

    async def talk(peer: Peer) -> None:
        await peer.request()
        if how == "length":
            told = answer(body)
        elif how == "gzip":
            told = answer(gzip.compress(body, 1), headers="Content-Encoding: gzip\r\n")
        elif how == "close":
            told = b"HTTP/1.1 200 OK\r\n\r\n" + body
        else:
            told = CHUNKED % (b"200 OK", b"")
            told += b"".join(chunk(body[at : at + step]) for at in range(0, size, step))
            told += chunk(b"")
        for at in range(0, len(told), step):
            peer.write(told[at : at + step])
            await peer.writer.drain()

    async def scenario() -> None:
        async with asking(talk, timeout_seconds=60.0) as provider:
            if over > 0:
                with pytest.raises(TransportError, match="larger than"):
                    await provider.post("/x", b"{}", "r", most_bytes=most)
            else:
                reply = await provider.post("/x", b"{}", "r", most_bytes=most)
                assert reply.body == body

    asyncio.run(scenario())


async def test_large_answers_take_turns_in_the_memory_there_is() -> None:
    """Eight of four megabytes at once, in ten: two are read at a time."""
    room = ByteRoom(10 * 2**20)
    most = 0
    whole = b" " * 2**22

    async def talk(peer: Peer) -> None:
        while await peer.request() is not None:
            peer.write(answer(whole))

    async with asking(talk, connections=8) as provider:

        async def ask(number: int) -> None:
            nonlocal most
            name = f"r{number}"
            reply = await provider.post("/x", b"{}", name, room=room)
            most = max(most, room.used_bytes)
            assert reply.body == whole
            await asyncio.sleep(0)
            room.release(name)

        await asyncio.gather(*(ask(number) for number in range(8)))
    assert 2**22 < most <= 10 * 2**20
    assert room.used_bytes == 0


def compress_all(body: bytes, codings: Sequence[str]) -> bytes:
    for coding in codings:
        body = PACKERS[coding](body)
    return body


PACKERS = {
    "br": brotli.compress,
    "deflate": zlib.compress,
    "raw deflate": lambda body: zlib.compress(body, wbits=-15),
    "gzip": gzip.compress,
    "gzip in two": lambda body: gzip.compress(body[:3]) + gzip.compress(body[3:]),
    "zstd": zstandard.compress,
    "identity": bytes,
}
SPELT = {
    "br": ["br", "BR", "x-br", "brotli"],
    "deflate": ["deflate", "Deflate", "x-deflate", "X-DEFLATE"],
    "raw deflate": ["deflate", "x-deflate"],
    "gzip": ["gzip", "GZIP", "x-gzip", "X-GZip"],
    "gzip in two": ["gzip", "x-gzip"],
    "zstd": ["zstd", "ZSTD", "x-zstd"],
    "identity": ["identity", "none", ""],
}


@settings(max_examples=150, deadline=None)
@given(data=st.data(), applied=st.lists(st.sampled_from(sorted(PACKERS)), max_size=4))
def test_whatever_compressed_it_an_answer_is_read(data: st.DataObject, applied: list[str]) -> None:
    """Any names, any number of them, in one header or in several."""
    names = [data.draw(st.sampled_from(SPELT[coding])) for coding in applied]
    body = data.draw(st.sampled_from([b"{}", b'{"a": "' + b"xyz " * 999 + b'"}']))
    status = data.draw(st.sampled_from(["200 OK", "400 Bad Request"]))
    joined = data.draw(st.sampled_from([", ", ",", " , "]))
    if data.draw(st.booleans()):
        headers = "".join(f"Content-Encoding: {name}\r\n" for name in names)
    else:
        headers = f"Content-Encoding: {joined.join(names)}\r\n"
    sent = compress_all(body, applied)

    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.write(answer(sent, headers=headers, status=status))

    async def scenario() -> None:
        async with asking(talk) as provider:
            assert (await provider.post("/x", b"{}", "r")).body == body

    asyncio.run(scenario())


@pytest.mark.parametrize("names", [("x-gzip",), ("zstd", "gzip"), ("br", "X-Deflate")])
async def test_a_bomb_under_any_name_ends_at_the_ceiling(names: tuple[str, ...]) -> None:
    applied = [name.lower().removeprefix("x-") for name in names]
    bomb = compress_all(b" " * 2**25, applied)

    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.write(answer(bomb, headers=f"Content-Encoding: {', '.join(names)}\r\n"))

    with at_most(2**24):
        error = await lose(talk)
    assert (error.code, error.final) == ("answer_too_large", True)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_what_is_cut_off_is_a_lost_answer(coding: str) -> None:
    whole = compress_all(b'{"a": 1}' * 99, [coding])

    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.write(answer(whole[:-6], headers=f"Content-Encoding: x-{coding}\r\n"))

    error = await lose(talk)
    assert (error.code, error.maybe_billed, error.final) == ("disconnect", True, False)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
@pytest.mark.parametrize("body", [b'{"a": 1}', b' [{"a": 1}]', b'{"long": "%s"}' % (b"x" * 2**16)])
async def test_what_its_header_alone_calls_compressed_is_read_as_it_is(
    coding: str, body: bytes
) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.write(answer(body, headers=f"Content-Encoding: {coding}\r\n"))

    async with asking(talk) as provider:
        assert (await provider.post("/x", b"{}", "r")).body == body


@pytest.mark.parametrize("rest", [bytes(512), b"\n", b"padding"])
async def test_what_stands_behind_the_compressed_answer_does_not_matter(rest: bytes) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        sent = compress_all(b'{"a": 1}', ["gzip"]) + rest
        peer.write(answer(sent, headers="Content-Encoding: gzip\r\n"))

    async with asking(talk) as provider:
        assert (await provider.post("/x", b"{}", "r")).body == b'{"a": 1}'


async def test_of_a_refusal_that_is_not_compressed_as_it_says_the_status_counts() -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.write(answer(b"no", headers="Content-Encoding: x-gzip\r\n", status="403 No"))

    async with asking(talk) as provider:
        reply = await provider.post("/x", b"{}", "r")
    assert (reply.status, reply.body) == (403, b"no")
