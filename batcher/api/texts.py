"""From texts to values in one line. Each is a job like any other: kept, resumed, paid for once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from batcher.api.running import run
from batcher.core.errors import RowsWithoutResult, UsageError

if TYPE_CHECKING:
    from batcher.engine.job.report import Report

_TEXT = "text"
_NAMES_OF_NOTHING = frozenset({"NoneType", "NAType", "NaTType"})
Vectors = npt.NDArray[np.float32]


def embed(
    texts: Iterable[str | None],
    *,
    model: str = "text-embedding-3-small",
    dimensions: int | None = None,
    failed: Literal["null", "raise"] = "raise",
    **more: Any,
) -> Vectors:
    """One vector for each text: float32 of shape (texts, dimension), in their order.

        vectors = batcher.embed(["first text", "second text"])

    Args:
        texts: any number of them: a list, a column of a table, an array, a generator.
        model: the model's name.
        dimensions: the vectors' length, where the model can shorten them.
        failed: ``raise`` where a text has no vector, or ``null``: NaN in its place.
        more: what else :func:`run` takes (``base_url``, ``max_cost``, ``simulate``, …), and the
            options of the kind ``embed``.

    Raises:
        RowsWithoutResult: a text has no vector, or the job did not come to its end. What is paid
            for is kept: the same call goes on.
        BatcherError: as :func:`run`.
    """
    if more.get("overlong") == "split":
        raise UsageError("overlong='split' makes several vectors of a text: use batcher.run")
    rows = _rows(texts)
    if rows is None:
        return np.empty((0, dimensions or 0), dtype=np.float32)
    if dimensions is not None:
        more["dimensions"] = dimensions
    report = _complete(run("embed", rows, model=model, text=_TEXT, keep_input=False, **more))
    made: Vectors | None = None
    at = 0
    for batch in report.batches(failed=failed):
        if batch.vectors is not None:
            if made is None:
                made = np.full((report.rows, batch.vectors.shape[1]), np.nan, dtype=np.float32)
            there = np.ones(len(batch.rows), dtype=bool)
            there[list(batch.missing)] = False
            made[at : at + len(batch.rows)][there] = batch.vectors[there]
        at += len(batch.rows)
    return np.full((report.rows, dimensions or 0), np.nan, np.float32) if made is None else made


@overload
def classify(
    texts: Iterable[str | None],
    labels: Iterable[str],
    *,
    model: str = ...,
    failed: Literal["raise"] = ...,
    **more: Any,
) -> list[str]: ...


@overload
def classify(
    texts: Iterable[str | None],
    labels: Iterable[str],
    *,
    model: str = ...,
    failed: Literal["null"],
    **more: Any,
) -> list[str | None]: ...


def classify(
    texts: Iterable[str | None],
    labels: Iterable[str],
    *,
    model: str = "gpt-6-luna",
    failed: Literal["null", "raise"] = "raise",
    **more: Any,
) -> Sequence[str | None]:
    """One of the labels for each text, in their order.

        batcher.classify(["My card was charged twice"], ["billing", "shipping", "bug"])

    ``failed="null"`` gives None for a text that has no label; all else is as for :func:`embed`,
    with the options of the kind ``classify`` (``instructions``, …).

    Raises:
        RowsWithoutResult: a text has no label, or the job did not come to its end.
        BatcherError: as :func:`run`.
    """
    if isinstance(labels, str):
        raise UsageError("labels is a list of texts, not one text")
    options = {**more, "labels": list(labels)}
    return _values(_job("classify", texts, model=model, text=_TEXT, **options), "label", failed)


@overload
def chat(
    prompts: Iterable[str | None],
    *,
    model: str = ...,
    system: str | None = ...,
    failed: Literal["raise"] = ...,
    **more: Any,
) -> list[str]: ...


@overload
def chat(
    prompts: Iterable[str | None],
    *,
    model: str = ...,
    system: str | None = ...,
    failed: Literal["null"],
    **more: Any,
) -> list[str | None]: ...


def chat(
    prompts: Iterable[str | None],
    *,
    model: str = "gpt-6-luna",
    system: str | None = None,
    failed: Literal["null", "raise"] = "raise",
    **more: Any,
) -> Sequence[str | None]:
    """One answer to each prompt, in their order.

        batcher.chat(["Translate to French: good morning"], system="You are terse.")

    A prompt is sent as it is. ``failed="null"`` gives None for one that has no answer; all else is
    as for :func:`embed`, with the options of the kind ``chat`` (``max_tokens``, …).

    Raises:
        RowsWithoutResult: a prompt has no answer, or the job did not come to its end.
        BatcherError: as :func:`run`.
    """
    if system is not None:
        more["system"] = system
    return _values(_job("chat", prompts, model=model, text=_TEXT, **more), "output", failed)


def _job(kind: str, texts: Iterable[str | None], **job: Any) -> Report | None:
    """The report of a job over texts; None where there is not one text."""
    rows = _rows(texts)
    return None if rows is None else _complete(run(kind, rows, keep_input=False, **job))


def _values(report: Report | None, name: str, failed: Literal["null", "raise"]) -> list[str | None]:
    if report is None:
        return []
    return [result.value[name] for result in report.results(failed=failed)]


def _complete(report: Report) -> Report:
    if report.status == "complete":
        return report
    why = f": {report.reason}" if report.reason else ""
    raise RowsWithoutResult(
        f"job {report.job} is not complete ({report.status}{why}): {report.rows_left} of "
        f"{report.rows} texts have no result yet. What is done is kept: the same call goes on"
    )


def _rows(texts: Iterable[str | None]) -> Iterator[Mapping[str, str | None]] | None:
    """A row for each text, one after the other; None where there is none."""
    if isinstance(texts, str | bytes | Mapping) or not isinstance(texts, Iterable):
        raise UsageError(f"give a list of texts, not one of type {type(texts).__name__}")
    if hasattr(texts, "columns"):
        raise UsageError(
            f"give a column of texts, not a whole table ({type(texts).__name__}): df['text'] of a "
            "table df, say"
        )
    named = _named(_plain(texts))
    first = next(named, None)
    if first is None:
        return None

    def rows() -> Iterator[Mapping[str, str | None]]:
        yield first
        yield from named

    return rows()


def _plain(texts: Iterable[Any]) -> Iterator[Any]:
    """The texts, out of whatever they come in: Arrow's arrays hold scalars of their own."""
    for text in texts:
        yield text.as_py() if hasattr(text, "as_py") else text


def _named(texts: Iterator[Any]) -> Iterator[Mapping[str, str | None]]:
    for number, text in enumerate(texts):
        if isinstance(text, str):
            yield {_TEXT: str(text)}
        elif type(text).__name__ in _NAMES_OF_NOTHING or _is_nan(text):
            yield {_TEXT: None}
        else:
            raise UsageError(f"text {number} is not text, but of type {type(text).__name__}")


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value
