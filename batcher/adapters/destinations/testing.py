"""What every destination must keep: a test for anybody's.

An output is complete or absent, or it is added to so that a repeat changes nothing. Whatever kills
its writer, the next one comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from batcher.core.errors import UsageError
from batcher.core.kind import Field
from batcher.ports import (
    Destination,
    OutputBatch,
    OutputSchema,
    OutputSink,
    ReportingSink,
    ResumableSink,
    SinkRequest,
)

Read = Callable[[str], Sequence[str]]
"""The ids of the records at an address, in any order; empty where there is no output. Those of a
format that keeps no ids may be made up: as many as there are records, from ``r0`` on."""

_ROWS, _BATCHES = 4, 3
_DIMENSION = 3
_LABEL = (Field(name="label", type="text"), Field(name="confidence", type="float"))
_VECTOR = (Field(name="embedding", type="vector"),)
SCHEMAS = {
    "labels": OutputSchema(columns=("id", "text"), fields=_LABEL, chunked=False, dimension=None),
    "vectors": OutputSchema(columns=(), fields=_VECTOR, chunked=False, dimension=_DIMENSION),
    "both": OutputSchema(
        columns=(), fields=(*_LABEL, *_VECTOR), chunked=False, dimension=_DIMENSION
    ),
}
"""The records that a destination is tried with; it may refuse some, and not all."""


def check_destination(destination: Destination, address: Callable[[], str], read: Read) -> None:
    """Write to a destination in all the ways in which jobs do.

    ``address`` gives a new place each time, where nothing is yet.

    Raises:
        AssertionError: the destination does not keep the contract of :mod:`batcher.ports`.
    """
    assert isinstance(destination, Destination), "it lacks a verb: see batcher.ports.Destination"
    accepted = [
        schema for schema in SCHEMAS.values() if _is_accepted(destination, schema, address())
    ]
    assert accepted, "it refuses labels and vectors alike"
    for schema in accepted:
        _check_records(destination, schema, address, read)


def _is_accepted(destination: Destination, schema: OutputSchema, address: str) -> bool:
    try:
        destination.check_form(SinkRequest(address=address, schema=schema))
    except UsageError:
        return False
    return True


def _check_records(
    destination: Destination, schema: OutputSchema, address: Callable[[], str], read: Read
) -> None:
    batches = [_batch(schema, number) for number in range(_BATCHES)]
    ids = sorted(str(id_) for batch in batches for id_ in batch.ids)

    def opened(place: str, from_row: int = 0) -> OutputSink:
        wanted = SinkRequest(
            address=place, schema=schema, job="j1", name="nightly", from_row=from_row
        )
        destination.check_form(wanted)
        destination.check_place(wanted)
        return destination.open(wanted)

    def deliver(place: str) -> None:
        sink = opened(place)
        if isinstance(sink, ReportingSink):
            sink.write_errors([_letter(number) for number in range(2)])
        for batch in batches:
            sink.write(batch)
        if isinstance(sink, ReportingSink):
            sink.write_manifest({"job": "j1", "rows": {"total": len(ids)}})
        sink.commit()
        sink.abort()
        assert sorted(read(place)) == ids, "what was committed is not what was written"

    place = address()
    assert list(read(place)) == [], "this test needs a place with nothing in it"
    deliver(place)
    deliver(place)  # a repeat changes nothing

    place = address()
    sink = opened(place)
    sink.write(batches[0])
    sink.abort()
    sink.abort()
    assert list(read(place)) == [], "what was given up has left records behind"
    deliver(place)

    place = address()
    lost = opened(place)
    lost.write(batches[0])
    assert list(read(place)) == [], "records are seen before they are committed or flushed"
    if isinstance(lost, ResumableSink):
        lost.flush()
        lost.write(batches[1])
        _lose(lost)
        rest = opened(place, from_row=_ROWS)
        for batch in batches[1:]:
            rest.write(batch)
        rest.commit()
        assert sorted(read(place)) == ids, "an output that goes on lacks records, or has others"
    else:
        _lose(lost)
    deliver(place)


def _lose(sink: OutputSink) -> None:
    """As the end of its process would leave it, as far as one process can show that."""
    sink.abort()


def _batch(schema: OutputSchema, number: int) -> OutputBatch:
    rows = range(number * _ROWS, (number + 1) * _ROWS)
    ids = [f"r{row}" for row in rows]
    vectors: Any = None
    results: list[dict[str, Any]] = []
    if any(field.type != "vector" for field in schema.fields):
        results = [{"label": f"label {row}", "confidence": row / 100} for row in rows]
    if schema.dimension is not None:
        vectors = np.arange(_ROWS * schema.dimension, dtype=np.float32)
        vectors = vectors.reshape(_ROWS, schema.dimension) + number
    return OutputBatch(
        ids=ids,
        rows=rows,
        results=results,
        vectors=vectors,
        records=[{"id": id_, "text": f"text of {id_}"} for id_ in ids] if schema.columns else [],
        chunks=[],
        next_row=(number + 1) * _ROWS,
    )


def _letter(number: int) -> dict[str, Any]:
    return {
        "id": f"x{number}",
        "row": 1_000 + number,
        "code": "refused",
        "message": "No.",
        "attempts": 1,
    }
