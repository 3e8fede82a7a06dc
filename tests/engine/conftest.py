"""Where the engine's tests work: a directory of their own, a key in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.workbench import CANARY_KEY


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test; ``OPENAI_API_KEY`` is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY_KEY)
    return tmp_path
