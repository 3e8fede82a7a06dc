"""Where an SQLite database may live, and whose file it may be."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batcher.adapters.store import location, migrate, open_store
from batcher.core.errors import BatcherError, DamagedStore, StoreError
from tests.fakes import FakeClock
from tests.store.making import (
    make_job,
    open_planned,
)

if TYPE_CHECKING:
    from batcher.ports import Store


# --- where it may live ------------------------------------------------------------------------

MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 21 0:25 / /mnt rw - tmpfs tmpfs rw
31 30 0:26 / /mnt/share rw,relatime shared:2 - nfs4 server:/export rw
32 31 8:2 / /mnt/share/local rw - xfs /dev/sdb rw
33 21 0:27 / /media/my\040disk rw - cifs //server/share rw
34 21 0:28 / /over rw - ext4 /dev/sdc rw
35 34 0:29 / /over rw - fuse.sshfs host: rw
broken
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/srv/me/.batcher", "ext4"),
        ("/mnt/x", "tmpfs"),
        ("/mnt/sharex", "tmpfs"),
        ("/mnt/share/a/b", "nfs4"),
        ("/mnt/share/local", "xfs"),
        ("/media/my disk/a", "cifs"),
        ("/over/a", "fuse.sshfs"),
    ],
)
def test_the_innermost_and_latest_mount_says_the_file_system(place: str, kind: str) -> None:
    assert location.file_system(Path(place), MOUNTS) == kind


async def test_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("1 0 0:1 / / rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(location, "_MOUNTS", mounts)
    with pytest.raises(StoreError, match=r"nfs4 is a network file system.*--db"):
        await open_store(str(tmp_path / "x" / "batcher.db"), FakeClock())
    assert not (tmp_path / "x" / "batcher.db").exists()
    monkeypatch.setattr(location, "_MOUNTS", tmp_path / "none")
    await (await open_store(str(tmp_path / "x" / "batcher.db"), FakeClock())).close()


@pytest.mark.parametrize("name", ["a b.db", "ä#%20.db", "x&y=z.db"])
async def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    store = await open_store(f"sqlite:///{tmp_path / name}", FakeClock())
    await store.open_job(make_job(), fresh=False)
    await store.close()
    assert (tmp_path / name).exists()
    assert repr(store) == f"SqlStore({tmp_path / name})"


async def test_another_program_s_file_is_refused_and_left_as_it_is(path: Path) -> None:
    """Whoever uses alembic, too, has its table; and revisions are named alike everywhere."""
    for revision in ("abc", migrate.head(), "0001"):
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as raw:
            raw.execute("CREATE TABLE alembic_version (version_num TEXT)")
            raw.execute("CREATE TABLE customer (id INTEGER)")
            raw.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
            raw.commit()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="another program"):
            await open_store(str(path), FakeClock())
        assert path.read_bytes() == before


async def test_a_newer_batcher_s_file_is_left_as_it_is(store: Store, path: Path) -> None:
    await store.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.execute("PRAGMA journal_mode=DELETE")
        raw.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer batcher"):
        await open_store(str(path), FakeClock())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM alembic_version", "damaged in the table alembic_version"),
        ("DROP TABLE shard", "damaged in .* shard"),
        ("ALTER TABLE job RENAME COLUMN state TO stat", "damaged in the table job"),
    ],
)
async def test_tables_that_are_not_what_they_were_are_damage(
    store: Store, path: Path, damage: str, said: str
) -> None:
    await open_planned(store, shards=1)
    await store.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(damage)
        raw.commit()

    async def look() -> None:
        reopened = await open_store(str(path), FakeClock())
        try:
            await reopened.job("j1")
            await reopened.tally("j1")
        finally:
            await reopened.close()

    with pytest.raises(DamagedStore, match=said):
        await look()


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3_000 + "y", "loop/y", "file/y", "."])
async def test_a_path_that_leads_nowhere_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for create in (True, False):
        with pytest.raises(BatcherError, match="database"):
            await open_store(str(tmp_path / name), FakeClock(), create=create)
