"""Invariant 5: checking and reading hold a few blocks, and eight bytes a row for the ids."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from batcher.adapters.sources import open_source

ROWS = 150_000
BOUND_BYTES = 8 << 20


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_memory_does_not_grow_with_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("w") as file:
        if name == "a.csv":
            file.write("id,text\n")
            file.writelines(f"{i},{'x' * 120}\n" for i in range(ROWS))
        else:
            file.writelines(f'{{"id":{i},"text":"{"x" * 120}"}}\n' for i in range(ROWS))
    assert path.stat().st_size > 2 * BOUND_BYTES
    source = open_source(str(path), spool_dir=tmp_path)
    tracemalloc.start()
    try:
        source.check(id_column="id", columns=("text",), skip_bad=False)
        for _ in source.rows():
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < BOUND_BYTES + 8 * ROWS
