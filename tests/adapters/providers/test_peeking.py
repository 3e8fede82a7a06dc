"""What lies in a socket is seen before it is read, by each of the ways of asking."""

import socket
import struct
from collections.abc import Iterator

import pytest

from batcher.adapters.providers import peeking


@pytest.fixture(params=["c", "select"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "select":
        monkeypatch.setattr(peeking, "_RECV", None)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        near.setblocking(False)
        yield near, far


@pytest.mark.usefixtures("_way")
def test_bytes_are_seen_and_stay(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    assert not peeking.has_bytes(near.fileno())
    far.send(b"stray")
    assert peeking.has_bytes(near.fileno())
    assert peeking.has_bytes(near.fileno())
    assert near.recv(10) == b"stray"
    assert not peeking.has_bytes(near.fileno())


@pytest.mark.usefixtures("_way")
def test_the_end_is_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    far.close()
    assert peeking.has_bytes(near.fileno())


@pytest.mark.usefixtures("_way")
def test_a_reset_is_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    assert peeking.has_bytes(near.fileno())
