"""What an error of Postgres means: whether to try again, and what the user should do.

Decided by the SQLSTATE alone (see the appendix of codes in Postgres' manual). A message of the
server may quote a row, so none is passed on; libpq's own, of a connection that failed, are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from batcher.adapters.store.database import Conflict
from batcher.core.errors import StoreError, UnusableStore


class Cure(Enum):
    """What may help against a fault, besides the user."""

    NONE = "none"
    AT_ONCE = "another transaction won: the same one once more"
    LATER = "the server is away, or somebody holds a lock: wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A failed transaction: what may help, and what is raised where nothing did."""

    cure: Cure
    error: StoreError


_LOST_RACES = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_AWAY = ("08", "57P01", "57P02", "57P03", "57P05", "25P03", "53300", "25006")
_UNIQUE = "23505"
_LOCKED = "55P03"  # lock_not_available, within lock_timeout
_REMEDIES = {
    "53100": "the server's disk is full: free some space and run again, nothing is lost",
    "53200": "the server is out of memory: run again later, nothing is lost",
    "55P03": "another session holds it for too long: end that one, or run again later",
    "57014": "the server cancelled a statement: see its statement_timeout, then run again",
    "42501": "this user may not do it: GRANT it the right, or name another user",
    "42P01": "its tables are not batcher's: `batcher db upgrade` makes them",
    "42703": "its tables are not this version's: `batcher db upgrade` brings them up to date",
    "XX001": "the server says that its data is damaged: restore a copy",
    "XX002": "the server says that an index is damaged: REINDEX it",
}
_UNUSABLE = frozenset({"42501", "42P01", "42703"})


def diagnose(error: SQLAlchemyError, name: str) -> Fault:
    """What a failed transaction on the database ``name`` means."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    state: str = getattr(cause, "sqlstate", None) or ""
    if state in _LOST_RACES:
        message = f"database {name}: others keep changing the same rows; run again ({state})"
        return Fault(cure=Cure.AT_ONCE, error=StoreError(message))
    if state == _LOCKED:
        message = f"database {name}: {_REMEDIES[state]} ({state})"
        return Fault(cure=Cure.LATER, error=StoreError(message))
    if is_away(cause):
        what = first_line(cause) if not state else f"SQLSTATE {state}"
        message = f"database {name}: the server is away: {what}; run again when it is back"
        return Fault(cure=Cure.LATER, error=StoreError(message))
    if state == _UNIQUE:
        return Fault(cure=Cure.NONE, error=Conflict(f"database {name}: a unique key is taken"))
    kind = UnusableStore if state in _UNUSABLE else StoreError
    remedy = _REMEDIES.get(state, type(cause or error).__name__)
    return Fault(cure=Cure.NONE, error=kind(f"database {name}: {remedy} ({state or 'no code'})"))


def is_away(cause: BaseException | None) -> bool:
    """Whether the connection is lost or could not be made, or the server takes no work for now."""
    from psycopg import OperationalError

    state: str | None = getattr(cause, "sqlstate", None)
    return state.startswith(_AWAY) if state else isinstance(cause, OperationalError)


def first_line(cause: BaseException | None) -> str:
    """What libpq says of a connection, without its hints."""
    return str(cause).strip().partition("\n")[0]
