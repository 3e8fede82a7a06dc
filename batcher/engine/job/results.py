"""The results of a job as values, one for each output record; and how they are reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from reprlib import Repr
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from batcher.core.model import DeadLetter, RowId
from batcher.ports import OutputBatch

Failed: TypeAlias = Literal["null", "omit", "raise"]
"""What becomes of rows without a result: a record of nothing, none at all, or an error."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Result:
    """What a job made of one row, or of one chunk of it.

    Attributes:
        row: the row's number in the input, from 0.
        id: its id, as the input spells it; the row's number where no id column was named.
        vector: float32 of shape (dimension,), for kinds that make vectors.
        value: everything else that the kind made, by the names of the output's fields.
        chunk, start, end: which part of the text this is, in characters, where a job has one
            record for each chunk; None otherwise.
        prompt_tokens, completion_tokens, cost_usd, model: what it cost and who made it, in jobs
            with ``cost_columns``; None otherwise, and where it is not known.
        failed: whether the row has no result; its values are None then.
    """

    row: int
    id: RowId | None
    vector: npt.NDArray[np.float32] | None = None
    value: Mapping[str, Any] = field(default_factory=dict)
    chunk: int | None = None
    start: int | None = None
    end: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None
    failed: bool = False

    @property
    def cursor(self) -> tuple[int, int]:
        """Its place among the results: others are asked for ``after`` it."""
        return self.row, self.chunk or 0

    def __repr__(self) -> str:
        """Which one it is and what it holds, in about a line."""
        part = "" if self.chunk is None else f" chunk {self.chunk}"
        parts = [f"{name}={_SHORT.repr(item)}" for name, item in self.value.items()]
        if self.vector is not None:
            parts.append(f"embedding={_shown_vector(self.vector)}")
        what = "failed" if self.failed else ", ".join(parts)
        return f"<Result row {self.row}{part}: {what}>"


class Access(Protocol):
    """The results of jobs; :class:`batcher.engine.job.report.Report` says what each verb gives."""

    def results(self, job_id: str, failed: Failed) -> Iterator[Result]:
        """One by one."""
        ...

    def batches(self, job_id: str, failed: Failed) -> Iterator[OutputBatch]:
        """Many at a time."""
        ...

    def arrow(self, job_id: str, failed: Failed) -> Any:
        """As a ``pyarrow.Table``."""
        ...

    def pandas(self, job_id: str, failed: Failed) -> Any:
        """As a ``pandas.DataFrame``."""
        ...

    def polars(self, job_id: str, failed: Failed) -> Any:
        """As a ``polars.DataFrame``."""
        ...


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHOWN_NUMBERS = 3


def _shown_vector(vector: npt.NDArray[np.float32]) -> str:
    numbers = ", ".join(f"{number:.4g}" for number in vector[:_SHOWN_NUMBERS])
    more = ", …" if len(vector) > _SHOWN_NUMBERS else ""
    return f"[{numbers}{more}] ({len(vector)} dimensions)"


def results_of(batch: OutputBatch, fields: Sequence[str] = ()) -> Iterator[Result]:
    """The records of a batch one by one; vectors are views of the batch's array.

    A row without a result has None in each of ``fields``.
    """
    missing = frozenset(batch.missing)
    for at, (row, row_id) in enumerate(zip(batch.rows, batch.ids, strict=True)):
        chunk, start, end = batch.chunks[at] if batch.chunks else (None, None, None)
        prompt, completion, cost, model = batch.costs[at] if batch.costs else (None,) * 4
        yield Result(
            row=row,
            id=row_id,
            vector=None if batch.vectors is None or at in missing else batch.vectors[at],
            value=_value(batch, at, fields if at in missing else ()),
            chunk=chunk,
            start=start,
            end=end,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=cost,
            model=model,
            failed=at in missing,
        )


def _value(batch: OutputBatch, at: int, missing: Sequence[str]) -> Mapping[str, Any]:
    return dict.fromkeys(missing) if missing or not batch.results else batch.results[at]


def error_record(letter: DeadLetter) -> dict[str, Any]:
    """A failed row as the errors file has it."""
    return {
        "id": letter.id,
        "row": letter.row,
        "code": letter.code,
        "message": letter.message,
        "attempts": letter.attempts,
    }
