"""Which columns an output has, and how one value is written where there is only text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from batcher.adapters.formats.json_text import json_bytes
from batcher.core.kind import Field
from batcher.ports import OutputBatch, OutputSchema

CHUNK_COLUMNS: Final = ("chunk", "start", "end")
COST_COLUMNS: Final = ("prompt_tokens", "completion_tokens", "cost_usd", "model")
ROW_COLUMNS: Final = ("id", "row")


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a CSV or Parquet output.

    ``leading`` are the input's, or ``id, row`` where the records were not kept. A name of
    ``chunks``, ``costs`` or ``fields`` that is taken already has got ``_result``, as often as it
    takes. A vector is the last of ``fields``.
    """

    kept: bool
    leading: tuple[str, ...]
    chunks: tuple[str, ...]
    costs: tuple[str, ...]
    fields: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in order."""
        return (*self.leading, *self.chunks, *self.costs, *self.fields)


def lay_out(schema: OutputSchema, *, kept: bool) -> Layout:
    """The columns; ``kept`` says whether the input's records are there."""
    leading = schema.columns if kept else ROW_COLUMNS
    taken = set(leading)
    chunks = tuple(_free(name, taken) for name in (CHUNK_COLUMNS if schema.chunked else ()))
    named = sorted(schema.fields, key=lambda field: field.type == "vector")
    fields = tuple(_free(field.name, taken) for field in named)
    costs = tuple(_free(name, taken) for name in (COST_COLUMNS if schema.costs else ()))
    return Layout(kept, leading, chunks, costs, fields)


def lay_out_for(schema: OutputSchema, batch: OutputBatch | None) -> Layout:
    """The columns as the first batch shows them; None: there is not even one."""
    has_records = batch is None or bool(batch.records) or batch.arrow is not None
    return lay_out(schema, kept=bool(schema.columns) and has_records)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_result"
    taken.add(name)
    return name


def leading_columns(layout: Layout, batch: OutputBatch) -> list[Sequence[Any]]:
    """The values of the leading columns; None where a record lacks one."""
    if not layout.kept:
        return [batch.ids, batch.rows]
    if batch.arrow is not None:
        from batcher.adapters.formats.arrow_values import plain_column  # imports pyarrow

        return [plain_column(batch.arrow.column(name)) for name in layout.leading]
    return [[record.get(name) for record in batch.records] for name in layout.leading]


def record_columns(schema: OutputSchema, batch: OutputBatch) -> list[Sequence[Any]]:
    """The values of the columns that say which part of a row a record is, and what it cost."""
    columns: list[Sequence[Any]] = []
    if schema.chunked:
        columns += zip(*batch.chunks, strict=True)
    if schema.costs:
        columns += zip(*batch.costs, strict=True)
    return columns


def vector_field(schema: OutputSchema) -> Field | None:
    """The field that is a vector; None where there is none."""
    return next((field for field in schema.fields if field.type == "vector"), None)


def plain_fields(schema: OutputSchema) -> list[Field]:
    """The fields that are no vectors, in order."""
    return [field for field in schema.fields if field.type != "vector"]


def cell_text(value: Any) -> str:
    """A value as a cell's text: text as it is, nothing for None, JSON for everything else."""
    if isinstance(value, str):
        return value
    return "" if value is None else json_bytes(value).decode()
