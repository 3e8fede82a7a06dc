"""What every source must keep: a test for anybody's.

The same input is read several times, from its beginning and from other rows on: a job that was
broken off in its plan goes on with rows that are the same, or it says that they are not.
"""

from __future__ import annotations

from batcher.core.errors import InputError
from batcher.core.model import InputFacts, InputRow
from batcher.ports import InputSource, Source, SourceRequest

_NO_COLUMN = "no such column, surely"


async def check_source(source: Source, wanted: SourceRequest, *, id_column: str) -> InputFacts:
    """Read an input in all the ways in which a job reads one; returns what it is.

    It has to have at least three rows, none of them at fault, and a column of ids that differ.

    Raises:
        AssertionError: the source does not keep the contract of :mod:`batcher.ports`; in words.
    """
    assert isinstance(source, Source), "it lacks a verb: see batcher.ports.Source"
    with await source.open(wanted) as first:
        assert first.name, "an input has a name, for messages"
        facts = first.check(id_column=id_column, columns=(), skip_bad=False)
        rows = _rows(first)
        assert first.sha256() == facts.sha256, "rows() reads something else than check() has"
        assert len(rows) == facts.rows, f"check() counts {facts.rows} rows and {len(rows)} come"
        assert facts.rows >= 3, "this test needs an input of three rows"
        _check_rows(rows, facts, id_column)
        for start in (0, 1, facts.rows - 1, facts.rows):
            assert _rows(first, start) == rows[start:], f"rows({start}) are not the last ones"
        assert _rows(first) == rows, "the second time other rows come"
        _check_refusal(first)
    first.close()
    with await source.open(wanted) as second:
        again = second.check(id_column=id_column, columns=facts.columns, skip_bad=False)
        assert again == facts, f"opened again, the same input is another one: {again}"
        assert _rows(second) == rows, "opened again, other rows come"
    return facts


def _rows(source: InputSource, start: int = 0) -> list[InputRow]:
    rows = []
    for batch in source.rows(start):
        for row in batch:
            assert isinstance(row, InputRow), f"row {row.number} is at fault: {row.message}"
            rows.append(row)
    return rows


def _check_rows(rows: list[InputRow], facts: InputFacts, id_column: str) -> None:
    numbers = [row.number for row in rows]
    assert numbers == list(range(len(rows))), "rows are numbered from 0, one by one"
    assert id_column in facts.columns, f"the columns lack {id_column!r}: {facts.columns}"
    for row in rows:
        assert set(row.record) <= set(facts.columns), f"row {row.number} has other columns"
        assert str(row.record[id_column]) == str(row.id), f"row {row.number} has another id"


def _check_refusal(source: InputSource) -> None:
    said = ""
    try:
        source.check(id_column=_NO_COLUMN, columns=(), skip_bad=False)
    except InputError as error:
        said = str(error)
    assert _NO_COLUMN in said, f"a column of ids that is not there is not refused by name: {said}"
