"""Contents of rows where statements find them, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from batcher.adapters.store import migrate, open_store
from tests.fakes import FakeClock
from tests.store.making import TTL, make_job, make_shard

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.servers.postgres import PostgresServer

FIND = {
    "sqlite": "instr(hashes.contents, :content)",
    "postgres": "position(:content in hashes.contents)",
}


@pytest.mark.parametrize("database_kind", ["sqlite", "postgres"])
async def test_a_statement_finds_the_row_of_a_content(
    request: pytest.FixtureRequest, tmp_path: Path, database_kind: str
) -> None:
    url = str(tmp_path / "b.db")
    if database_kind == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.url(server.database())
        migrate.upgrade(url)
    store = await open_store(url, FakeClock())
    await store.open_job(make_job(), fresh=False)
    fence = await store.lease_plan("j1", "planner", TTL)
    assert fence is not None
    contents = [bytes([row + 1]) * 16 for row in range(12)]
    for ordinal in range(3):
        shard = make_shard(ordinal)
        mine = b"".join(contents[4 * ordinal : 4 * ordinal + 4])
        shard = replace(shard, plan=replace(shard.plan, contents=mine))
        next_row = 4 * ordinal + 4
        assert await store.add_shard("j1", fence, shard, next_row=next_row, planned=ordinal == 2)
    place = FIND[database_kind]
    query = text(
        f"SELECT shard.first_row + ({place} - 1) / 16 FROM shard_hashes AS hashes"
        f" JOIN shard ON shard.id = hashes.shard_id WHERE {place} > 0"
    )

    def rows_of(connection: Connection, content: bytes) -> list[int]:
        return list(connection.scalars(query, {"content": content}))

    for row, content in enumerate(contents):
        found = await store._database.read(  # type: ignore[attr-defined]
            lambda connection, content=content: rows_of(connection, content)
        )
        assert found == [row]
    await store.close()
