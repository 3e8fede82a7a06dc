"""Where a Postgres is, as a URL says it and as messages may."""

from __future__ import annotations

import pytest

from batcher.adapters.store.postgres.address import PostgresAddress


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://", "postgresql:///"),
        ("postgresql:///jobs", "postgresql:///jobs"),
        ("postgres://me:pw@h/jobs?sslmode=require", "postgresql://me@h/jobs"),
        ("postgresql://me:p%40w@a:1,b:2/jobs", "postgresql://me@a:1,b:2/jobs"),
        ("postgresql:///jobs?host=/run/pg&password=pw", "postgresql:///run/pg/jobs"),
        ("postgresql://h:5432/jobs?user=me", "postgresql://me@h:5432/jobs"),
    ],
)
def test_a_name_holds_where_it_is_and_no_secret(url: str, name: str) -> None:
    assert PostgresAddress.parse(url).name == name
