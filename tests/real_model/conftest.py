"""One server of each sort for all tests, and a directory for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real_model.command import Workplace
from tests.real_model.llama_server import LlamaServer, serving


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """A server that embeds, and wants a key."""
    with serving("embed", tmp_path_factory.mktemp("server") / "embed.log") as server:
        yield server


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """A server that chats, knows no embeddings, and wants no key."""
    with serving("chat", tmp_path_factory.mktemp("server") / "chat.log") as server:
        yield server


@pytest.fixture
def here(tmp_path: Path) -> Workplace:
    """Where the command runs."""
    return Workplace(tmp_path)
