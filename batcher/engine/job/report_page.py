"""A report as HTML, for notebooks: its figures, and the first results. Every value is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from batcher.core.errors import BatcherError

if TYPE_CHECKING:
    from batcher.engine.job.report import Report
    from batcher.engine.job.results import Result

_FIRST = 5
_MOST_CHARACTERS = 200


def report_page(report: Report) -> str:
    """A table of figures under the names of the manifest, then one of results."""
    figures = "".join(
        f"<tr><th style='text-align:left'>{_text(name)}</th>"
        f"<td style='text-align:left'>{_text(value)}</td></tr>"
        for name, value in _figures(report)
    )
    head = f"job {report.job}: {report.kind} with {report.model}"
    return f"<div><b>{_text(head)}</b><table>{figures}</table>{_results(report)}</div>"


def _figures(report: Report) -> Iterator[tuple[str, str]]:
    yield "status", report.status
    if report.reason:
        yield "reason", report.reason
    done = f"{report.rows_done:,} of {report.rows:,} done"
    failed = f", {report.rows_failed:,} failed" if report.rows_failed else ""
    yield "rows", f"{done}{failed}"
    if report.failures:
        codes = (f"{rows:,} {code}" for code, rows in report.failed_by_code.items())
        yield "failures", ", ".join(codes)
    yield "requests", f"{report.requests:,}"
    yield "tokens", f"{report.prompt_tokens:,} prompt, {report.completion_tokens:,} completion"
    yield "cost_usd", "unknown" if report.cost_usd is None else f"{report.cost_usd:f}"
    if report.doubt_requests:
        yield "billed_twice_at_most", f"{report.doubt_requests:,} requests"
    if report.output is not None:
        yield "output", report.output
    if report.errors is not None:
        yield "errors", report.errors
    for note in report.notes:
        yield "note", note


def _results(report: Report) -> str:
    try:
        first = list(islice(report.results(failed="omit"), _FIRST))
    except BatcherError:
        return ""  # the database has gone, or is away: the figures are here all the same
    if not first:
        return ""
    names = [*first[0].value, *([] if first[0].vector is None else ["embedding"])]
    head = _cells("th", ["row", "id", *names])
    body = "".join(f"<tr>{_cells('td', _shown(result, names))}</tr>" for result in first)
    return f"<table><tr>{head}</tr>{body}</table>"


def _shown(result: Result, names: Sequence[str]) -> Iterable[object]:
    made = dict(result.value)
    if result.vector is not None:
        made["embedding"] = f"{len(result.vector)} dimensions"
    return result.row, result.id, *(made.get(name) for name in names)


def _cells(tag: str, values: Iterable[object]) -> str:
    return "".join(f"<{tag} style='text-align:left'>{_text(value)}</{tag}>" for value in values)


def _text(value: object) -> str:
    text = str(value)
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS - 1]}…"
    return escape(text)
