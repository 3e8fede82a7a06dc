"""The steps of the schema: they lead to the models, back, and there again."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from contextlib import closing
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from batcher.adapters.store import migrate, open_store
from batcher.adapters.store.models import Base
from batcher.adapters.store.sqlite import PAGE_BYTES, sqlite_engine
from batcher.core.errors import StoreError, UsageError
from migrations import HEAD
from tests.fakes import FakeClock
from tests.store.making import make_job

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a directory" / "batcher.db"


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as raw:
        return {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}


def test_an_empty_database_becomes_what_the_models_say(path: Path) -> None:
    migrate.upgrade(f"sqlite:///{path}")
    engine = sqlite_engine(path)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_schema_is_the_same_as_one_that_the_models_make(path: Path, tmp_path: Path) -> None:
    migrate.upgrade(str(path))
    made = sqlite_engine(tmp_path / "made.db")
    Base.metadata.create_all(made)
    made.dispose()
    assert schema(path) == schema(tmp_path / "made.db")


def schema(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Columns, foreign keys and indexes of every table, as SQLite sees them."""
    with closing(sqlite3.connect(path)) as raw:
        return {
            f"{pragma} {table}": sorted(raw.execute(f"PRAGMA {pragma}({table})"), key=str)
            for table in Base.metadata.tables
            for pragma in ("table_xinfo", "foreign_key_list", "index_list")
        }


def test_down_and_up_again(path: Path) -> None:
    migrate.upgrade(str(path))
    before = tables(path)
    migrate.step(path, "base", down=True)
    assert "job" not in tables(path)
    assert migrate.current(str(path)) is None
    migrate.upgrade(str(path))
    assert tables(path) == before
    assert migrate.current(str(path)) == migrate.head()


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
        "import sys, batcher.adapters.store.sql, batcher.adapters.store.migrate;"
        "sys.exit('alembic' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0


def test_many_who_open_a_new_database_at_once_make_one(path: Path) -> None:
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(str(path))
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=upgrade) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate.current(str(path)) == migrate.head()


def test_a_new_database_has_large_pages_and_a_wal(path: Path) -> None:
    migrate.upgrade(str(path))
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA page_size").fetchone() == (PAGE_BYTES,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_newer_database_is_left_alone(path: Path) -> None:
    migrate.upgrade(str(path))
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    with pytest.raises(StoreError, match="newer batcher"):
        migrate.upgrade(str(path))
    assert migrate.current(str(path)) == "9999"


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
