"""What the tests of outputs do again and again: schemas, batches, and what a directory holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from batcher.adapters.destinations import open_sink
from batcher.core.kind import Field
from batcher.core.model import RowId
from batcher.ports import OutputBatch, OutputSchema

VECTOR = (Field(name="embedding", type="vector"),)
LABEL = (Field(name="label", type="text"), Field(name="confidence", type="float"))


def schema(
    fields: tuple[Field, ...] = LABEL,
    *,
    columns: tuple[str, ...] = ("id", "text"),
    chunked: bool = False,
    dimension: int | None = None,
) -> OutputSchema:
    return OutputSchema(columns=columns, fields=fields, chunked=chunked, dimension=dimension)


def batch(
    ids: Sequence[RowId],
    *,
    rows: Sequence[int] | None = None,
    results: Sequence[Mapping[str, Any]] = (),
    vectors: Any = None,
    records: Sequence[Mapping[str, Any]] = (),
    chunks: Sequence[tuple[int, int, int]] = (),
) -> OutputBatch:
    return OutputBatch(
        ids=ids,
        rows=range(len(ids)) if rows is None else rows,
        results=results,
        vectors=vectors,
        records=records,
        chunks=chunks,
    )


def labels(*records: Mapping[str, Any]) -> OutputBatch:
    """Records with ids of their own, each labelled ``good``."""
    return batch(
        [record.get("id", number) for number, record in enumerate(records)],
        results=[{"label": "good", "confidence": 0.5}] * len(records),
        records=records,
    )


def vectors(*values: Sequence[float]) -> Any:
    return np.array(values, dtype=np.float32)


def write(
    path: Path, output: OutputSchema, *batches: OutputBatch, format: str | None = None
) -> Path:
    sink = open_sink(str(path), format=format, schema=output)
    for each in batches:
        sink.write(each)
    sink.commit()
    sink.abort()
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())
