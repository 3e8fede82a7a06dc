"""The space that deleted jobs took: given back, and to whom."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.cli.conftest import Cli, embed_file


def large_job(cli: Cli) -> str:
    rows = "".join(f"r{number},text {number}\n" for number in range(2_000))
    cli.write("many.csv", f"id,body\n{rows}")
    return embed_file(cli, "many.csv", "-o", "many.jsonl")


def size(cli: Cli) -> int:
    state = cli.directory / ".batcher"
    return sum(path.stat().st_size for path in state.glob("batcher.db*") if path.is_file())


def test_a_purge_gives_the_space_back(cli: Cli) -> None:
    large_job(cli)
    before = size(cli)
    assert before > 8 << 20
    said = cli("db", "purge", "--older-than", "0s").stderr
    assert size(cli) < before // 8
    assert "MB given back to the disk" in said


def test_a_purge_gives_space_back_while_others_have_the_database_open(cli: Cli) -> None:
    large_job(cli)
    before = size(cli)
    with closing(sqlite3.connect(cli.directory / ".batcher/batcher.db")) as other:
        other.execute("SELECT count(*) FROM job").fetchone()
        assert cli("db", "purge", "--older-than", "0s").code == 0
        assert other.execute("SELECT count(*) FROM job").fetchone() == (0,)
    assert size(cli) < before // 4


def as_an_older_version_made_it(cli: Cli) -> None:
    """Rewrite the file so that it keeps no track of free pages."""
    with closing(sqlite3.connect(cli.directory / ".batcher/batcher.db")) as raw:
        raw.execute("PRAGMA auto_vacuum=NONE")
        raw.execute("VACUUM")
        assert raw.execute("PRAGMA auto_vacuum").fetchone() == (0,)


def test_a_file_of_an_older_version_is_rewritten_once_nobody_has_it_open(cli: Cli) -> None:
    large_job(cli)
    as_an_older_version_made_it(cli)
    before = size(cli)
    with closing(sqlite3.connect(cli.directory / ".batcher/batcher.db")) as other:
        other.execute("SELECT count(*) FROM job").fetchone()
        said = cli("db", "purge", "--older-than", "0s").stderr
    assert "another process has the database open" in said
    assert size(cli) > before // 2
    said = cli("db", "purge", "--older-than", "0s").stderr
    assert "0 jobs deleted" in said
    assert "MB given back to the disk" in said
    assert size(cli) < before // 8
    with closing(sqlite3.connect(cli.directory / ".batcher/batcher.db")) as raw:
        assert raw.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert cli("jobs", "--json").json == []
