"""The server that other tests are run with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from tests.servers.valkey import ValkeyServer, valkey_server


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey_server() as running:
        yield running


def client(server: ValkeyServer) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def test_it_answers_and_ends(server: ValkeyServer) -> None:
    with closing(client(server)) as connected:
        assert connected.set("key", "value")
        server.stop()
        with pytest.raises(redis.ConnectionError):
            connected.get("key")
    server.start()


@pytest.mark.parametrize(("keep_data", "value"), [(True, b"value"), (False, None)])
def test_killed_it_comes_back_on_its_port(
    server: ValkeyServer, keep_data: bool, value: bytes | None
) -> None:
    with closing(client(server)) as connected:
        connected.set("key", "value")
        server.restart(keep_data=keep_data)
        assert connected.get("key") == value


def test_it_is_emptied(server: ValkeyServer) -> None:
    with closing(client(server)) as connected:
        connected.set("key", "value")
        server.empty()
        assert connected.get("key") is None
