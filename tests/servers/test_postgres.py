"""The server that other tests rely on: it keeps its data, asks for its password, and ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.servers.postgres import PASSWORD, PostgresServer
from tests.waiting import wait_until

pytestmark = pytest.mark.process


def test_what_was_committed_is_there_after_a_restart_and_after_a_kill(
    postgres: PostgresServer, database: str
) -> None:
    with psycopg.connect(postgres.url(database), autocommit=True) as client:
        client.execute("CREATE TABLE kept (n int)")
        client.execute("INSERT INTO kept VALUES (1)")
    for again in (postgres.restart, postgres.kill):
        again()
        if again == postgres.kill:
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(postgres.url(database))
            postgres.start()
        with psycopg.connect(postgres.url(database)) as client:
            assert client.execute("SELECT n FROM kept").fetchall() == [(1,)]


def test_it_asks_for_the_password(postgres: PostgresServer, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url(database).replace(PASSWORD, "wrong"))


def test_it_has_pgvector(postgres: PostgresServer, database: str) -> None:
    postgres.execute(sql.SQL("CREATE EXTENSION vector"), database)


def test_it_ends_with_the_process_that_started_it() -> None:
    program = """
import os
from tests.servers.postgres import postgres_server

with postgres_server() as server:
    print(server.port, flush=True)
    os.kill(os.getpid(), 9)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True
    )
    assert ran.returncode == -9
    where = f"host=127.0.0.1 port={int(ran.stdout)} user=nobody"
    wait_until(lambda: "refused" in refusal(where), "that nobody listens any more")


def refusal(where: str) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(where, connect_timeout=2)
    return str(caught.value)
