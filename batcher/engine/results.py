"""The results of a job as values, one for each output record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from batcher.core.model import RowId
from batcher.ports import OutputBatch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Result:
    """What a job made of one row, or of one chunk of it.

    Attributes:
        row: the row's number in the input, from 0.
        id: its id, as the input spells it; the row's number where no id column was named.
        vector: float32 of shape (dimension,), for kinds that make vectors.
        value: what other kinds made, by the names of the output's fields.
        chunk, start, end: which part of the text this is, in characters, where a job has one
            record for each chunk; None otherwise.
        prompt_tokens, completion_tokens, cost_usd, model: what it cost and who made it, in jobs
            with ``cost_columns``; None otherwise, and where it is not known.
    """

    row: int
    id: RowId
    vector: npt.NDArray[np.float32] | None = None
    value: Mapping[str, Any] = field(default_factory=dict)
    chunk: int | None = None
    start: int | None = None
    end: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None

    def __repr__(self) -> str:
        """Which one it is; what it holds is the user's."""
        part = "" if self.chunk is None else f" chunk {self.chunk}"
        what = (
            f"{len(self.vector)} dimensions" if self.vector is not None else ", ".join(self.value)
        )
        return f"<Result row {self.row}{part}: {what}>"


def results_of(batch: OutputBatch) -> Iterator[Result]:
    """The records of a batch one by one; vectors are views of the batch's array."""
    for at, (row, row_id) in enumerate(zip(batch.rows, batch.ids, strict=True)):
        chunk, start, end = batch.chunks[at] if batch.chunks else (None, None, None)
        prompt, completion, cost, model = batch.costs[at] if batch.costs else (None,) * 4
        yield Result(
            row=row,
            id=row_id,
            vector=None if batch.vectors is None else batch.vectors[at],
            value=batch.results[at] if batch.results else {},
            chunk=chunk,
            start=start,
            end=end,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=cost,
            model=model,
        )
