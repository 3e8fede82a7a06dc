"""JSONL out: ``{"id": …, "row": 12, "embedding": […]}``, one record a line."""

from __future__ import annotations

from typing import Any

import orjson

from batcher.adapters.destinations.target import writing
from batcher.adapters.destinations.writers.layout import CHUNK_COLUMNS, lay_out, plain_fields
from batcher.adapters.destinations.writers.text_sink import TextSink
from batcher.adapters.formats.json_text import json_bytes
from batcher.ports import OutputBatch

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


class JsonlSink(TextSink):
    """Implements :class:`batcher.ports.OutputSink`. A field that a result lacks is left out."""

    def write(self, batch: OutputBatch) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        heads = self._heads(batch)
        names = [field.name for field in self._schema.fields]
        plain = [field.name for field in plain_fields(self._schema)]
        with writing(self._target.name):
            if plain:
                for head, result in zip(heads, batch.results, strict=True):
                    head.update((name, result[name]) for name in plain if name in result)
            if self._vector is not None:
                name = self._vector.name
                for head, vector in zip(heads, batch.vectors, strict=True):
                    head[name] = vector
            for index in batch.missing:
                heads[index].update(dict.fromkeys(names))
            if self._schema.costs:
                columns = lay_out(self._schema, kept=False).costs
                for head, cost in zip(heads, batch.costs, strict=True):
                    head.update(zip(columns, cost, strict=True))
            for head in heads:
                self._writer.write(_line(head))

    def _heads(self, batch: OutputBatch) -> list[dict[str, Any]]:
        heads: list[dict[str, Any]] = [
            {"id": id_, "row": row} for id_, row in zip(batch.ids, batch.rows, strict=True)
        ]
        if self._schema.chunked:
            for head, chunk in zip(heads, batch.chunks, strict=True):
                head.update(zip(CHUNK_COLUMNS, chunk, strict=True))
        return heads


def _line(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record, option=_OPTIONS)
    except orjson.JSONEncodeError:
        return json_bytes(record) + b"\n"
