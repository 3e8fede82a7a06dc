"""The real Valkey of :mod:`scripts.servers`, for tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.servers.valkey import ValkeyServer, valkey_server

__all__ = ["ValkeyServer", "valkey", "valkey_server"]


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """One server for all tests of this process; start it again where a test has stopped it."""
    with valkey_server() as server:
        yield server
