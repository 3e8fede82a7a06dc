"""What every kind must do whose rows have something of their own: a part of :mod:`.testing`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from batcher.core.errors import RowError
from batcher.core.kind import BoundKind
from batcher.core.kind_optional import AttachesFiles, SetsRowParameters
from batcher.core.row.attachments import Attachment
from batcher.core.row.parameters import read_row_parameters, row_parameters_bytes

ODD_VALUES: tuple[Any, ...] = (
    None,
    "",
    "   ",
    "\ud800",
    "ü\u2028",
    0,
    1e300,
    True,
    [],
    {"a": [1]},
)
"""What a column may hold that nobody foresaw."""


def check_row_parameters(bound: BoundKind, records: Sequence[Mapping[str, Any]]) -> Sequence[bytes]:
    """What rows' requests have of their own is plain JSON, and the same each time; returns it.

    Raises:
        AssertionError: it is not.
    """
    if not isinstance(bound, SetsRowParameters):
        return [b""] * len(records)
    own = []
    for record in records:
        kept = copy.deepcopy(dict(record))
        first = _row_parameters(bound, record)
        assert dict(record) == kept, "row_parameters changes the record"
        assert _row_parameters(bound, record) == first, (
            "row_parameters makes something else of the same record"
        )
        own.append(first)
    for column in bound.columns:
        for value in ODD_VALUES:
            try:
                _row_parameters(bound, {**records[0], column: value})
            except (RowError, UnicodeEncodeError):
                continue
            except Exception as error:
                raise AssertionError(
                    f"row_parameters raises {type(error).__name__} for {column} = {value!r}, and "
                    f"no RowError: {error}"
                ) from error
    return own


def check_attachments(
    bound: BoundKind, records: Sequence[Mapping[str, Any]]
) -> Sequence[Sequence[Attachment]]:
    """Rows name files, or fail as rows; returns files with something in them for each row.

    Raises:
        AssertionError: they do not.
    """
    if not isinstance(bound, AttachesFiles):
        return [()] * len(records)
    assert bound.most_attachment_bytes > 0, "no attachment is short enough"
    for size in (0, 1, bound.most_attachment_bytes):
        tokens = bound.attachment_tokens(size)
        assert isinstance(tokens, int), "the tokens of an attachment are no whole number"
        assert tokens >= 0, "an attachment takes tokens away"
    for column in bound.columns:
        for value in ODD_VALUES:
            try:
                _named(bound, {**records[0], column: value})
            except RowError:
                continue
            except AssertionError:
                raise
            except Exception as error:
                raise AssertionError(
                    f"attachments raises {type(error).__name__} for {column} = {value!r}, and no "
                    "RowError"
                ) from error
    return [
        [Attachment(address, b"what is in " + address.encode(), "00" * 32) for address in named]
        for named in (_named(bound, record) for record in records)
    ]


def _named(bound: AttachesFiles, record: Mapping[str, Any]) -> Sequence[str]:
    kept = copy.deepcopy(dict(record))
    named = bound.attachments(record)
    assert dict(record) == kept, "attachments changes the record"
    assert not isinstance(named, str), "attachments returns one text, not a list of them"
    assert all(isinstance(address, str) for address in named), (
        "attachments returns something that is not text"
    )
    return named


def _row_parameters(bound: SetsRowParameters, record: Mapping[str, Any]) -> bytes:
    try:
        parameters = read_row_parameters(bound.row_parameters(record))
    except ValueError as error:
        raise AssertionError(f"row_parameters returned {error}") from error
    return b"" if parameters is None else row_parameters_bytes(parameters)
