"""What to say of a database that is damaged: where, and what is lost by it.

The words of a driver are never passed on: they may quote a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import orjson

from batcher.core.errors import DamagedStore
from batcher.core.failures.unforeseen import described

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import RowMapping

P = ParamSpec("P")
T = TypeVar("T")

_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN)\s+\"?(\w+)", re.IGNORECASE)
_LOST: Final[Mapping[str, str]] = {
    "job": "what the jobs are, and where they stand",
    "shard": "how far the jobs are",
    "shard_payload": "the ids and columns of all rows, and how they are packed into requests",
    "shard_prompts": "the requests of rows that are not done",
    "shard_hashes": "which rows are unchanged, for --since-last",
    "checkpoint": "results that were paid for",
    "dead_letter": "why rows failed",
    "worker": "which workers there are, and nothing else",
    "job_order": "jobs that workers were to open",
    "schedule": "the schedules",
    "delivery": "where results were to go, and whether they are there",
    "alembic_version": "the revision of the tables, and nothing else",
}
ADVICE: Final = (
    "Restore a copy of it, or keep this one and begin anew with another --db; "
    "what `batcher export` still reads is whole"
)
NONSENSE: Final = (ValueError, LookupError, TypeError, AttributeError)
"""What a row raises that makes no sense, when it is made a value."""
_CANNOT_BE_WRITTEN: Final = (UnicodeEncodeError, orjson.JSONEncodeError)


def damaged(name: str, statement: str | None, what: str) -> DamagedStore:
    """The error for a database that is damaged where ``statement`` reads or writes."""
    tables = [table for table in dict.fromkeys(_TABLE.findall(statement or "")) if table in _LOST]
    where, lost = "", ""
    if tables:
        where = f" in {'the table' if len(tables) == 1 else 'one of the tables'} " + ", ".join(
            tables
        )
        lost = "; what may be lost: " + "; ".join(_LOST[table] for table in tables)
    return DamagedStore(f"database {name}: it is damaged{where} ({what}){lost}. {ADVICE}")


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Raise what a row that makes no sense raises, as damage; not what cannot be written."""
    try:
        yield
    except _CANNOT_BE_WRITTEN:
        raise
    except NONSENSE as exc:
        said = f"a row that was read makes no sense: {described(exc)}"
        raise DamagedStore(f"database {name}: it is damaged ({said}). {ADVICE}") from exc


def reading(table: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """For a function that makes a value of a row of ``table``: say so where it makes no sense."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def read(*arguments: P.args, **named: P.kwargs) -> T:
            try:
                return function(*arguments, **named)
            except NONSENSE as exc:
                raise DamagedStore(
                    f"the database is damaged in the table {table} (a row makes no sense: "
                    f"{type(exc).__name__}); what may be lost: {_LOST[table]}. {ADVICE}"
                ) from exc

        return read

    return decorate


def must_be(
    kind: type | tuple[type, ...], row: Mapping[str, Any] | RowMapping, *names: str
) -> None:
    """Raise TypeError where a column holds another type, as SQLite lets it."""
    for name in names:
        if not isinstance(row[name], kind):
            raise TypeError(name)


def damaged_shard(job_id: str, ordinal: int, first_row: int, rows: int, what: str) -> DamagedStore:
    """The error for a shard of which something is not what was written."""
    return DamagedStore(
        f"job {job_id}: the database is damaged: {what} of its shard {ordinal} (rows {first_row} "
        f"to {first_row + rows - 1}, counted from 0) are not what was written. Restore a copy of "
        "the database; or have these rows answered again, by the job's command with --fresh and an "
        "input of them alone. `batcher export --partial` leaves them out"
    )


def damaged_prompts(job_id: str, ordinal: int) -> DamagedStore:
    """The error for a shard whose requests are not what was planned: they must not be sent."""
    return DamagedStore(
        f"job {job_id}: the database is damaged: the requests of its shard {ordinal} are not what "
        "was planned, and are not sent. Restore a copy of the database, or begin the job anew with "
        "--fresh; `batcher export --partial` writes what was done"
    )
