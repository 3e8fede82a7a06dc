from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.reading import Inputs


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path)
