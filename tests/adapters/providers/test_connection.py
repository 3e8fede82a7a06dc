"""An answer belongs to its request, whatever a server or a gateway sends besides.

Against a server of raw bytes: every timing of what nobody asked for, with the next request waiting
to be sent, or not yet thought of.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.adapters.providers.http import HttpProvider
from batcher.core.errors import TransportError
from tests.adapters.providers.raw_server import CHUNKED, Peer, Talk, answer, asking, chunk, echo

STRAY = {
    "another's answer": answer(b'{"asked": "stray"}'),
    "another's refusal": answer(b'{"error": {}}', status="400 Bad Request"),
    "a farewell": answer(b"", status="408 Request Time-out", headers="Connection: close\r\n"),
    "an interim answer": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    "leave to go on": b"HTTP/1.1 100 Continue\r\n\r\n",
    "the beginning of one": answer(b'{"asked": "stray"}')[:40],
    "its head": answer(b'{"asked": "stray"}')[:-18],
    "a line's end": b"\r\n",
    "noise": b"\x00\x01 not a protocol",
}


async def ask(provider: HttpProvider, question: str) -> str | None:
    """What the answer says was asked; None where there was none."""
    try:
        reply = await provider.post("/x", question.encode(), "r")
    except TransportError:
        return None
    assert reply.status == 200
    asked: str = json.loads(reply.body)["asked"]
    return asked


class Strayed:
    """How often stray bytes were written, for who waits until they have arrived."""

    def __init__(self) -> None:
        self._written = asyncio.Semaphore(0)

    def note(self) -> None:
        """They are written."""
        self._written.release()

    async def arrived(self) -> None:
        """Once more; then the loop has looked at the sockets, too."""
        await self._written.acquire()
        for _ in range(10):
            await asyncio.sleep(0)


def strays(
    stray: bytes, *, split: int = 0, before: float = 0.0, strayed: Strayed | None = None
) -> Talk:
    """Each answer, and after it, in the same segment or later, something else."""

    async def talk(peer: Peer) -> None:
        while (body := await peer.request()) is not None:
            told = echo(body)
            if before:
                peer.write(told)
                await peer.rest(before)
                peer.write(stray)
            elif split:
                peer.write(told[:split])
                await peer.rest()
                peer.write(told[split:] + stray)
            else:
                peer.write(told)
                peer.write(stray)
            if strayed is not None:
                strayed.note()

    return talk


@pytest.mark.parametrize("between_seconds", [0.0, 0.02])
@pytest.mark.parametrize("place", [20, -5], ids=["in the head", "in the body"])
@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY)
async def test_what_follows_an_answer_is_nobodys(
    stray: bytes, place: int, between_seconds: float
) -> None:
    """Beginning in the segment that ends the answer."""
    length = len(echo(b"0"))
    async with asking(strays(stray, split=place % length)) as provider:
        for number in range(6):
            assert await ask(provider, str(number)) in (str(number), None)
            await asyncio.sleep(between_seconds)


@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY)
@pytest.mark.parametrize("pause", ["before the stray bytes", "after them"])
async def test_what_comes_on_an_idle_connection_is_nobodys(stray: bytes, pause: str) -> None:
    """Every question is answered: nothing was lost by what nobody had asked for."""
    before = 0.01 if pause == "before the stray bytes" else 0.0
    strayed = Strayed()
    async with asking(strays(stray, before=before, strayed=strayed)) as provider:
        for number in range(6):
            assert await ask(provider, str(number)) == str(number)
            await strayed.arrived()


async def test_a_server_that_sends_too_much_is_asked_once_on_each_connection() -> None:
    """What comes with the next request written already could not be told from its answer."""
    connections: list[Peer] = []
    strayed = Strayed()

    async def talk(peer: Peer) -> None:
        connections.append(peer)
        while (body := await peer.request()) is not None:
            peer.write(echo(body))
            await peer.rest(0.002)
            peer.write(STRAY["another's answer"])
            strayed.note()

    async with asking(talk) as provider:
        assert await ask(provider, "first") == "first"
        await strayed.arrived()
        for number in range(20):
            assert await ask(provider, str(number)) == str(number)
    assert [peer.asked for peer in connections] == [1] * 21


async def test_a_farewell_costs_the_server_no_trust() -> None:
    """Proxies send a 408 before they close what was idle for too long."""
    connections: list[Peer] = []
    strayed = Strayed()

    async def talk(peer: Peer) -> None:
        connections.append(peer)
        while (body := await peer.request()) is not None:
            peer.write(echo(body))
            if body == b"first":
                await peer.rest()
                peer.write(STRAY["a farewell"])
                strayed.note()
                return

    async with asking(talk) as provider:
        assert await ask(provider, "first") == "first"
        await strayed.arrived()
        for number in range(5):
            assert await ask(provider, str(number)) == str(number)
    assert [peer.asked for peer in connections] == [1, 5]


async def test_bytes_that_the_loop_has_not_read_yet_are_seen() -> None:
    """They lie in the socket when the next request takes the connection."""
    held = asyncio.Event()
    peers: list[Peer] = []

    async def talk(peer: Peer) -> None:
        peers.append(peer)
        while (body := await peer.request()) is not None:
            peer.write(echo(body))
            await held.wait()

    async with asking(talk) as provider:
        assert await ask(provider, "a") == "a"
        peers[0].write(STRAY["another's answer"])  # and no turn of the loop before the next one
        held.set()
        assert await ask(provider, "b") == "b"
    assert len(peers) == 2


@pytest.mark.parametrize("greeting", [STRAY["another's answer"], STRAY["leave to go on"]])
async def test_an_answer_before_any_request_is_nobodys(greeting: bytes) -> None:
    async def talk(peer: Peer) -> None:
        peer.write(greeting)
        while (body := await peer.request()) is not None:
            peer.write(echo(body))

    async with asking(talk) as provider:
        for number in range(3):
            assert await ask(provider, str(number)) in (str(number), None)


async def test_an_early_refusal_on_a_new_connection_is_an_answer() -> None:
    """A server may refuse a large body before it has read it."""

    async def talk(peer: Peer) -> None:
        await peer.rest(0.01)
        peer.write(answer(b"{}", status="413 Too Large", headers="Connection: close\r\n"))
        await peer.rest(0.2)

    async with asking(talk) as provider:
        assert (await provider.post("/x", b"x" * 2**25, "r")).status == 413


async def test_an_answer_that_began_before_its_request_was_whole_is_lost() -> None:
    """On a connection that was used before: it may be that of the request before."""

    async def talk(peer: Peer) -> None:
        while True:
            if peer.asked == 0:
                body = await peer.request()
                assert body is not None
                peer.write(echo(body))
                continue
            assert await peer.read()  # the next request has begun, and is far from whole
            peer.write(STRAY["another's answer"])
            await peer.rest(0.5)
            return

    async with asking(talk) as provider:
        assert await ask(provider, "a") == "a"
        with pytest.raises(TransportError) as caught:
            await provider.post("/x", b"x" * 2**25, "r")
    assert (caught.value.code, caught.value.maybe_billed) == ("disconnect", True)


@pytest.mark.parametrize(
    "told",
    [
        lambda body: answer(b'{"asked": "%s"}' % body, headers="Connection: close\r\n"),
        lambda body: b'HTTP/1.0 200 OK\r\n\r\n{"asked": "%s"}' % body,
        lambda body: b'HTTP/1.1 200 OK\r\n\r\n{"asked": "%s"}' % body,
        lambda body: b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + echo(body),
        echo,
    ],
    ids=["says close", "HTTP/1.0", "no length", "after interim answers", "says nothing"],
)
async def test_a_connection_that_the_server_ends_loses_nothing(
    told: Callable[[bytes], bytes],
) -> None:
    """It ends, or is half closed, with every answer: the next request goes on another."""

    async def talk(peer: Peer) -> None:
        body = await peer.request()
        assert body is not None
        peer.write(told(body))
        peer.writer.write_eof()
        await peer.request()

    async with asking(talk) as provider:
        for number in range(8):
            assert await ask(provider, str(number)) == str(number)


async def test_answers_in_chunks_and_pieces_keep_their_connection() -> None:
    """What is in order is used again."""
    peers: list[Peer] = []

    async def talk(peer: Peer) -> None:
        peers.append(peer)
        while (body := await peer.request()) is not None:
            told = b'{"asked": "%s"}' % body
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            chunks = b"".join(b"%x\r\n%s\r\n" % (1, bytes([byte])) for byte in told)
            for byte in head + chunks + b"0\r\n\r\n":
                peer.write(bytes([byte]))
                await peer.writer.drain()

    async with asking(talk) as provider:
        for number in range(3):
            assert await ask(provider, str(number)) == str(number)
    assert len(peers) == 1


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@settings(max_examples=30, deadline=None)
@given(
    plan=st.lists(
        st.tuples(
            st.sampled_from(list(STRAY.values())),
            st.integers(0, 120),
            st.sampled_from(["with", "after", "never", "farewell"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_nobody_gets_a_neighbours_answer(
    run: Callable[[Coroutine[None, None, None]], None], plan: list[tuple[bytes, int, str]]
) -> None:
    """Requests at a time and one after the other, and stray bytes wherever they may be."""

    async def scenario() -> None:
        steps = iter(plan * 10)

        async def talk(peer: Peer) -> None:
            while (body := await peer.request()) is not None:
                stray, place, when = next(steps, (b"", 0, "never"))
                told = echo(body)
                peer.write(told[:place])
                peer.write(told[place:] + (stray if when == "with" else b""))
                if when == "after":
                    peer.write(stray)

        async with asking(talk, connections=2) as provider:
            for turn in range(3):
                names = [f"{turn}-{number}" for number in range(5)]
                told = await asyncio.gather(*(ask(provider, name) for name in names))
                assert all(one in (name, None) for one, name in zip(told, names, strict=True))
                await asyncio.sleep(0)

    run(scenario())


@pytest.mark.parametrize("refused", [True, False], ids=["refused early", "never read"])
async def test_a_body_that_nobody_reads_is_not_sent_after_its_request_is_over(
    refused: bool,
) -> None:
    """Or the connection, and the body in memory, would last as long as the server is silent."""
    body = b" " * 2**26
    over = asyncio.Event()
    arrived: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def talk(peer: Peer) -> None:
        size = 0
        if refused:
            size += len(await peer.read())
            peer.write(answer(b"{}", status="413 Too Large"))
        await over.wait()
        with suppress(ConnectionError):
            while block := await peer.read():
                size += len(block)
        arrived.set_result(size)

    async with asking(talk, timeout_seconds=20.0 if refused else 0.5) as provider:
        if refused:
            assert (await provider.post("/x", body, "r1")).status == 413
        else:
            with pytest.raises(TransportError) as raised:
                await provider.post("/x", body, "r1")
            assert raised.value.maybe_billed
        over.set()
        assert await asyncio.wait_for(arrived, 20) < len(body)


@pytest.mark.parametrize(("idle_seconds", "connections"), [(3.5, 1), (4.5, 2), (4.999, 2)])
async def test_a_connection_that_a_server_may_be_about_to_close_is_not_used_again(
    idle_seconds: float, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uvicorn's and Node's close theirs when it was idle for 5 s."""
    peers: list[Peer] = []

    async def talk(peer: Peer) -> None:
        peers.append(peer)
        while (body := await peer.request()) is not None:
            peer.write(echo(body))

    now = 1000.0
    monkeypatch.setattr("aiohttp.connector.monotonic", lambda: now)
    async with asking(talk) as provider:
        assert await ask(provider, "a") == "a"
        now += idle_seconds
        assert await ask(provider, "b") == "b"
    assert len(peers) == connections


class SlowRoom:
    """Memory that is short, so that what comes has to wait."""

    async def grow(self, request_id: str, size_bytes: int) -> None:
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("coding", ["plain", "chunked", "gzip"])
@pytest.mark.parametrize("around", [2**18, 2**19, 2**19 + 2**16, 2**20, 2**21])
async def test_large_answers_follow_each_other_on_one_connection(around: int, coding: str) -> None:
    """Reading pauses when nobody takes what has come, also where an answer ends just then."""
    peers: list[Peer] = []
    sizes = [around - 1, around, around + 1, around + 199]

    async def talk(peer: Peer) -> None:
        peers.append(peer)
        while (asked := await peer.request()) is not None:
            body = b"abcd" * (int(asked) // 4) + b"e" * (int(asked) % 4)
            if coding == "chunked":
                peer.write(CHUNKED % (b"200 OK", b"") + chunk(body) + chunk(b""))
            elif coding == "gzip":
                peer.write(answer(gzip.compress(body, 1), headers="Content-Encoding: gzip\r\n"))
            else:
                peer.write(answer(body))

    async with asking(talk) as provider:
        for size in sizes:
            asked = str(size).encode()
            reply = await provider.post("/x", asked, "r", most_bytes=2**23, room=SlowRoom())
            assert len(reply.body) == size
    assert len(peers) == 1
