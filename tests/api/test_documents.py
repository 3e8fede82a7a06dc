"""The examples of the documents and of the docstrings run, against a simulated provider."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import batcher
from batcher.simulator import Simulator

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def server(workplace: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    shutil.copy(ROOT / "examples/tickets.csv", workplace / "tickets.csv")
    shutil.copy(ROOT / "examples/tickets.csv", workplace / "articles.csv")


def blocks(path: str) -> list[str]:
    return _BLOCK.findall((ROOT / path).read_text(encoding="utf-8"))


def test_the_page_of_python_runs_from_top_to_bottom(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks("docs/python.md"):
        exec(compile(block, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    assert "did you mean 'body'?" in said
    assert "<Result row 0: embedding=[" in said
    assert Path("vectors.parquet").exists()
    made = {type(value).__name__ for value in names.values()}
    assert {"Estimate", "JobSpec", "Report", "Result", "Settings"} <= made


def test_the_page_of_python_names_every_public_name() -> None:
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    for name in batcher.__all__:
        assert f"`{name}`" in page, name
    used = "".join(blocks("docs/python.md"))
    called = {name for name in batcher.__all__ if name[0].islower()}
    assert called == {name for name in called if f"batcher.{name}(" in used}


def examples() -> Iterator[tuple[str, str]]:
    for name in batcher.__all__:
        doc = inspect.cleandoc(getattr(batcher, name).__doc__ or "")
        for block in re.findall(r"\n\n((?:    .+\n)+)", doc):
            if "batcher." in block:
                yield name, textwrap.dedent(block)


def test_the_examples_of_the_docstrings_run() -> None:
    df = pd.DataFrame({"body": ["late", "twice"]})
    ran = set()
    for name, example in examples():
        if "report(" in example and name == "report":  # of a job that is not here
            continue
        exec(compile(example, name, "exec"), {"batcher": batcher, "df": df, "spec": None})
        ran.add(name)
    assert {"chat", "classify", "embed", "estimate", "run"} <= ran
