"""A working directory of its own, and a simulated provider that outlives every run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.simulator import Simulator
from tests.cli.provider import provider


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("BATCHER_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    return tmp_path


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with provider() as running:
        yield running
