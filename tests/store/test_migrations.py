"""The steps of the schema: they lead to the models, back, and there again."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Dialect, Engine, MetaData, create_engine, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.type_api import TypeEngine

from batcher.adapters.store import migrate, open_store
from batcher.adapters.store.postgres.address import PostgresAddress, is_postgres
from batcher.adapters.store.postgres.database import postgres_engine
from batcher.adapters.store.sql.models import Base
from batcher.adapters.store.sql.tables import METADATA
from batcher.adapters.store.sqlite.database import PAGE_BYTES
from batcher.core.errors import StoreError, UnusableStore, UsageError
from batcher.core.model import JobEvent, StopCause
from migrations import HEAD
from tests.fakes import FakeClock
from tests.store.making import claim_one, make_checkpoint, make_dead, make_job, open_planned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent.parent
REVISIONS = [
    step.revision for step in ScriptDirectory.from_config(migrate.alembic_config()).walk_revisions()
][::-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a directory" / "batcher.db"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    """A database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{path}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(request.getfixturevalue("database"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Raw access to the database, once it is there."""
    if is_postgres(url):
        engine = postgres_engine(PostgresAddress.parse(url))
    else:
        engine = create_engine(url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


# --- on both ----------------------------------------------------------------------------------


def test_the_tables_of_statements_are_made_of_the_models() -> None:
    script = [sys.executable, str(ROOT / "scripts/make-tables"), "--stdout"]
    made = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    written = (ROOT / "batcher/adapters/store/sql/tables.py").read_text(encoding="utf-8")
    assert made == written, "run scripts/make-tables"


def test_a_new_file_is_made_of_what_the_steps_come_to(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts/make-tables"), "--sqlite"]
    made = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    written = (ROOT / "migrations/sqlite.sql").read_text(encoding="utf-8")
    assert made == written, "run scripts/make-tables"

    def master(path: Path) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(path)) as raw:
            (revision,) = raw.execute("SELECT version_num FROM alembic_version").fetchone()
            query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
            names = raw.execute(query)
            found = [tuple(" ".join(str(cell).split()) for cell in row) for row in names]
            settings = [
                str(raw.execute(f"PRAGMA {name}").fetchone())
                for name in ("page_size", "auto_vacuum", "journal_mode")
            ]
        return [(revision,), *found, tuple(settings)]

    at_once, by_steps = tmp_path / "at-once.db", tmp_path / "by-steps.db"
    migrate.upgrade(str(at_once))
    migrate.schema_of(str(by_steps)).prepare()
    migrate.step(str(by_steps), HEAD)
    assert master(at_once) == master(by_steps)


def test_what_alembic_began_once_and_another_made_meanwhile_is_not_made_anew(
    tmp_path: Path,
) -> None:
    begun = tmp_path / "begun.db"
    with closing(sqlite3.connect(begun)) as raw:
        raw.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    migrate.upgrade(str(begun))
    assert migrate.current(str(begun)) == HEAD
    assert not migrate.schema_of(str(begun)).make_new(["CREATE TABLE job (id TEXT)"])
    migrate.upgrade(str(begun))  # nothing holds it locked


@pytest.mark.parametrize("make", [sqlite.dialect, postgresql.dialect])
def test_both_make_the_same_tables_and_indexes(make: Callable[[], Dialect]) -> None:
    dialect = make()

    def statements(metadata: MetaData) -> set[str]:
        tables = metadata.tables.values()
        made = [str(CreateTable(table).compile(dialect=dialect)) for table in tables]
        indexes = [index for table in tables for index in table.indexes]
        return {*made, *(str(CreateIndex(index).compile(dialect=dialect)) for index in indexes)}

    assert statements(METADATA) == statements(Base.metadata)


def test_an_empty_database_becomes_what_the_models_say(url: str, engine: Engine) -> None:
    migrate.upgrade(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_the_schema_is_the_same_as_one_that_the_models_make(url: str, engine: Engine) -> None:
    migrate.upgrade(url)
    migrated = schema(engine)
    migrate.step(url, "base", down=True)
    Base.metadata.create_all(engine)
    assert schema(engine) == migrated


def schema(engine: Engine) -> dict[str, object]:
    """Columns, keys and indexes of every table, as the database sees them."""
    found: dict[str, object] = {}
    for name in Base.metadata.tables:
        seen = inspect(engine)
        found[name] = [
            [{k: plain(v) for k, v in column.items()} for column in seen.get_columns(name)],
            seen.get_pk_constraint(name),
            seen.get_foreign_keys(name),
            sorted(seen.get_indexes(name), key=str),
            sorted(seen.get_unique_constraints(name), key=str),
        ]
    return found


def plain(value: object) -> object:
    return repr(value) if isinstance(value, TypeEngine) else value


def test_down_and_up_again(url: str, engine: Engine) -> None:
    migrate.upgrade(url)
    before = tables(engine)
    migrate.step(url, "base", down=True)
    assert "job" not in tables(engine)
    assert migrate.current(url) is None
    migrate.upgrade(url)
    assert tables(engine) == before
    assert migrate.current(url) == migrate.head()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
async def test_what_an_older_batcher_wrote_is_there_after_the_upgrade(
    url: str, engine: Engine, revision: str
) -> None:
    await asyncio.to_thread(migrate.upgrade, url)
    store = await open_store(url, FakeClock())
    await open_planned(store, shards=2)
    lease = await claim_one(store)
    checkpoint = make_checkpoint(lease, done=[0, 1], dead={2: make_dead(2)}, cost=7, sent=3)
    await store.checkpoint("j1", [checkpoint])
    before = (
        await store.job("j1"),
        await store.tally("j1"),
        [shard async for shard in store.shards("j1")],
        [letter async for letter in store.dead_letters("j1")],
    )
    await store.close()
    await asyncio.to_thread(migrate.step, url, revision, down=True)
    assert migrate.current(url) == revision
    await asyncio.to_thread(migrate.upgrade, url)
    store = await open_store(url, FakeClock())
    assert before == (
        await store.job("j1"),
        await store.tally("j1"),
        [shard async for shard in store.shards("j1")],
        [letter async for letter in store.dead_letters("j1")],
    )
    await store.close()


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("stopped by its budget: $1 is spent", StopCause.BUDGET),
        ("stopped at a dead letter", StopCause.DEAD_LETTER),
        ("by hand", StopCause.BY_HAND),
        ("the credit is used up", StopCause.PROVIDER),
    ],
)
async def test_why_a_job_is_paused_is_told_from_the_words_that_said_so(
    url: str, engine: Engine, reason: str, cause: StopCause
) -> None:
    await asyncio.to_thread(migrate.upgrade, url)
    store = await open_store(url, FakeClock())
    await store.open_job(make_job(), fresh=False)
    paused = await store.move("j1", JobEvent.PAUSE, cause=cause, reason=reason)
    await store.open_job(make_job("j2", fingerprint="other"), fresh=False)
    await store.close()
    await asyncio.to_thread(migrate.step, url, "0004", down=True)
    await asyncio.to_thread(migrate.upgrade, url)
    store = await open_store(url, FakeClock())
    assert await store.job("j1") == paused
    assert (await store.job("j2")).cause is None
    await store.close()


def test_many_who_upgrade_a_new_database_at_once_make_one(url: str) -> None:
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(url)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=upgrade) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate.current(url) == migrate.head()


def test_a_newer_database_is_left_alone(url: str, engine: Engine) -> None:
    migrate.upgrade(url)
    set_revision(engine, "9999")
    for refused in (migrate.upgrade, migrate.require_head):
        with pytest.raises(UnusableStore, match="newer batcher"):
            refused(url)
    assert migrate.current(url) == "9999"


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


# --- Postgres ---------------------------------------------------------------------------------


async def test_a_postgres_is_never_upgraded_unasked(
    postgres: PostgresServer, database: str
) -> None:
    url = postgres.url(database)
    with pytest.raises(UnusableStore, match=r"no tables of batcher's yet.*batcher db upgrade"):
        await open_store(url, FakeClock())
    assert migrate.current(url) is None
    await asyncio.to_thread(migrate.step, url, REVISIONS[0])
    with pytest.raises(UnusableStore, match=rf"revision {REVISIONS[0]}.*batcher db upgrade"):
        await open_store(url, FakeClock())
    assert migrate.current(url) == REVISIONS[0]
    await asyncio.to_thread(migrate.upgrade, url)
    await (await open_store(url, FakeClock())).close()


def test_processes_that_upgrade_a_postgres_at_once_wait_for_each_other(
    postgres: PostgresServer, database: str
) -> None:
    url = postgres.url(database)
    program = "import sys; from batcher.adapters.store import migrate; migrate.upgrade(sys.argv[1])"
    upgrades = [
        subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [upgrade.communicate()[1] for upgrade in upgrades] == [b""] * 3
    assert migrate.current(url) == migrate.head()


def test_results_are_kept_out_of_the_rows_and_not_compressed(
    postgres: PostgresServer, database: str
) -> None:
    migrate.upgrade(postgres.url(database))
    with closing(postgres.connect(database)) as connection:
        external = connection.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attstorage = 'e'"
            " AND attrelid::regclass::text SIMILAR TO 'checkpoint|shard_%'"
        ).fetchall()
        filled = connection.execute(
            "SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL"
            " AND relname IN ('job', 'shard')"
        ).fetchall()
    assert sorted(f"{table}.{column}" for table, column in external) == [
        "checkpoint.results",
        *("shard_hashes.contents", "shard_hashes.ids"),
        *("shard_payload.columns", "shard_payload.outline", "shard_prompts.prompts"),
    ]
    assert sorted(filled) == [("job", ["fillfactor=50"]), ("shard", ["fillfactor=70"])]


def test_tables_of_another_program_are_left_alone(postgres: PostgresServer, database: str) -> None:
    url = postgres.url(database)
    with closing(postgres.connect(database)) as connection:
        connection.execute("CREATE TABLE job (theirs int)")
        connection.execute("CREATE SCHEMA ours")
        with pytest.raises(UnusableStore, match="'job' of another program"):
            migrate.upgrade(url)
        ours = f"{url}?options=-csearch_path%3Dours"
        migrate.upgrade(ours)
        assert (migrate.current(ours), migrate.head()) == (HEAD, HEAD)
        columns = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
        assert columns.fetchall() == [("theirs",)]


# --- SQLite -----------------------------------------------------------------------------------


def test_the_head_is_the_newest_step() -> None:
    script = ScriptDirectory.from_config(migrate.alembic_config())
    assert script.get_heads() == [migrate.head()] == [HEAD]
    assert str(script.dir) == str(files("migrations"))


def test_a_database_that_is_not_there_has_no_revision(path: Path) -> None:
    assert migrate.current(str(path)) is None
    assert not path.exists()


async def test_a_database_that_is_up_to_date_opens_without_alembic(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await open_store(str(path), FakeClock())
    job, _ = await first.open_job(make_job(), fresh=False)
    await first.close()

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a step was taken")

    monkeypatch.setattr(migrate, "step", refuse)
    again = await open_store(str(path), FakeClock())
    assert await again.job(job.id) == job
    await again.close()


async def test_alembic_is_not_imported_with_the_store() -> None:
    program = (
        "import sys, batcher.adapters.store.sql.store, batcher.adapters.store.migrate;"
        "sys.exit('alembic' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0


def test_a_new_database_has_large_pages_and_a_wal(path: Path) -> None:
    migrate.upgrade(str(path))
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA page_size").fetchone() == (PAGE_BYTES,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE theirs (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        migrate.upgrade(str(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("url", ["", "mysql://host/db", "sqlite:///", "sqlite:///:memory:", "a?b"])
def test_a_url_that_names_no_file_is_the_users_mistake(url: str) -> None:
    with pytest.raises(UsageError, match="--db"):
        migrate.upgrade(url)
