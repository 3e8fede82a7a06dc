"""Ten thousand jobs: what is asked of the database does not grow with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, insert

from batcher.adapters.store import migrate, open_store
from batcher.adapters.store.codec import dead_row, job_row
from batcher.adapters.store.sql.tables import CHECKPOINT, DEAD_LETTER, JOB, PAYLOAD, SHARD
from batcher.core.model import JobState
from batcher.settings import Settings
from batcher.wiring import open_runner
from tests.fakes import FakeClock
from tests.store.making import make_dead, make_description, make_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.slow
JOBS = 10_000
SPEC = make_description(model="text-embedding-3-small")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "b.db")
    postgres: PostgresServer = request.getfixturevalue("postgres")
    url = postgres.url(postgres.database())
    migrate.upgrade(url)
    return url


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What is asked of any database from now on."""
    from sqlalchemy import Engine

    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


async def fill(url: str) -> None:
    store = await open_store(url, FakeClock())
    tables = (JOB, SHARD, PAYLOAD, CHECKPOINT, DEAD_LETTER)
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in tables}
    first = replace(make_job(), description=SPEC, state=JobState.COMPLETE, planned=True)
    for number in range(1, JOBS + 1):
        at = first.created_at + timedelta(seconds=number)
        job = replace(
            first,
            id=f"job{number:07}",
            fingerprint=f"f{number}",
            generation=1,
            created_at=at,
            finished_at=at,
        )
        shard = {"id": number, "job_id": job.id, "ordinal": 0, "first_row": 0, "rows": 8}
        shard |= {"pieces": 8, "requests": 1, "state": "done", "seq": 0, "rows_done": 8}
        rows[JOB].append(job_row(job))
        rows[SHARD].append(shard | {"rows_carried": 0, "rows_changed": 0, "rows_failed_before": 0})
        rows[PAYLOAD].append({"shard_id": number, "outline": b"p" * 300, "columns": None})
        rows[CHECKPOINT].append(
            {"shard_id": number, "fence": 1, "seq": 0, "event": "{}", "results": b"r" * 2_000}
        )
        letter = make_dead(9, code="refused" if number % 2 else "timeout")
        rows[DEAD_LETTER].append(dead_row(letter, job_id=job.id, shard_id=number, piece=8))

    def work(connection: Any) -> None:
        for table, values in rows.items():
            connection.execute(insert(table), values)

    await store._database.write(work)  # type: ignore[attr-defined]
    await store.close()


async def test_ten_thousand_jobs_are_listed_and_purged_by_few_statements(
    url: str, statements: list[str]
) -> None:
    await fill(url)
    async with open_runner(Settings(database_url=url)) as runner:
        statements.clear()
        newest = await runner.jobs()
        assert [report.job for report in newest] == [f"job{JOBS - n:07}" for n in range(100)]
        assert {report.rows_done for report in newest} == {8}
        assert [report.failed_by_code for report in newest[:2]] == [{"timeout": 1}, {"refused": 1}]
        asked = [text for text in statements if text.lstrip().upper().startswith("SELECT")]
        assert len(asked) <= 7
        statements.clear()
        assert len(await runner.purge(0)) == JOBS
        # By batches as large as the machine is quick; job by job it would be 20,000.
        assert len(statements) < 5_000
        assert await runner.jobs() == []
        await runner.give_back()
