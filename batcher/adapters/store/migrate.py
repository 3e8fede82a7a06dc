"""The schema's version: which one a database has, and the steps to the newest.

alembic is imported only where a step is due: a database that is up to date opens without it, and a
new SQLite file is made from the statements that the steps come to (``sqlite.sql``). All is
synchronous, for threads.
"""

from __future__ import annotations

import threading
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

from batcher.adapters.store.location import sqlite_path
from batcher.adapters.store.postgres.address import PostgresAddress, is_postgres
from batcher.core.errors import UnusableStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from alembic.config import Config
    from sqlalchemy import Connection

_STEPS = import_module("batcher.migrations")  # beside the package in a checkout: see its __init__
HEAD: str = _STEPS.HEAD
_ONE_AT_A_TIME = threading.Lock()  # alembic keeps its context in module globals


class Schema(Protocol):
    """The schema of one database. Raises StoreError where the database cannot be used."""

    name: str

    def prepare(self) -> None:
        """Make what a schema can stand in."""
        ...

    def revision(self) -> str | None:
        """The revision; None where there is no schema yet."""
        ...

    def make_new(self, newest: Sequence[str]) -> bool:
        """Make the newest schema by its statements, in a database that is empty.

        Returns:
            Whether it did; False where there is something already, or steps are the only way.
        """
        ...

    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction that changes the schema; another one's end is waited for."""
        ...


def newest_sqlite() -> list[str]:
    """The statements that make the newest schema, revision included, in an SQLite file."""
    text = files(_STEPS).joinpath("sqlite.sql").read_text(encoding="utf-8")
    return [statement for statement in text.split(";\n") if statement.strip()]


def head() -> str:
    """The newest revision that this program knows."""
    return HEAD


def current(url: str) -> str | None:
    """The revision of the database at ``url``; None where it has no schema yet.

    Raises:
        StoreError: it cannot be read, or belongs to another program.
    """
    return schema_of(url).revision()


def upgrade(url: str) -> None:
    """Bring the database to the newest revision, in one transaction; make an SQLite file.

    Processes that do so at once wait for each other. A database that is up to date is only read.

    Raises:
        StoreError: it cannot be used, is of a newer version, or belongs to another program.
    """
    schema = schema_of(url)
    found = schema.revision()
    if found not in (None, HEAD) and not _is_known(found):
        raise _newer(schema)  # before anything of it is changed
    schema.prepare()
    if found != HEAD and not (found is None and schema.make_new(newest_sqlite())):
        step(url, HEAD)


def require_head(url: str) -> None:
    """Refuse a database that is not at the newest revision.

    Raises:
        UnusableStore: with what to do: upgrade the database, or batcher.
    """
    schema = schema_of(url)
    found = schema.revision()
    if found == HEAD:
        return
    if found is not None and not _is_known(found):
        raise _newer(schema)
    is_at = "has no tables of batcher's yet" if found is None else f"is at revision {found}"
    raise UnusableStore(
        f"database {schema.name} {is_at}, and {HEAD} is needed: run `batcher db upgrade` with the "
        "same --db once"
    )


def step(url: str, revision: str, *, down: bool = False) -> None:
    """Run the steps to ``revision``, up or down, in one transaction."""
    from alembic import command
    from alembic.util import CommandError

    schema = schema_of(url)
    try:
        with _ONE_AT_A_TIME, schema.transaction() as connection:
            config = alembic_config(connection=connection)
            (command.downgrade if down else command.upgrade)(config, revision)
    except CommandError as exc:
        raise _newer(schema) from exc


def schema_of(url: str) -> Schema:
    """The schema of the database that ``--db`` names.

    Raises:
        UsageError: it names none.
    """
    if is_postgres(url):
        address = PostgresAddress.parse(url)  # which sees to it that the driver is there
        from batcher.adapters.store.postgres.schema import PostgresSchema

        return PostgresSchema(address)
    from batcher.adapters.store.sqlite.schema import SqliteSchema

    return SqliteSchema(sqlite_path(url))


def alembic_config(**attributes: Any) -> Config:
    """Alembic's configuration, without a file: the steps are ``batcher.migrations``."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files(_STEPS)).replace("%", "%%"))
    config.attributes.update(attributes)
    return config


def _is_known(revision: str | None) -> bool:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(alembic_config())
    return any(step.revision == revision for step in script.walk_revisions())


def _newer(schema: Schema) -> UnusableStore:
    return UnusableStore(
        f"database {schema.name}: it was written by a newer batcher, or by another program; "
        "upgrade batcher, or name another with --db"
    )
