"""Bytes written by another thread: all of them, in order, and an error where one was."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.adapters.destinations import write_behind
from batcher.adapters.destinations.write_behind import WriteBehind

_BLOCK = 1 << 20


def _open(path: Path) -> WriteBehind:
    return WriteBehind(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def test_all_that_was_written_is_there_in_order(tmp_path: Path) -> None:
    blocks = [bytes([number]) * (_BLOCK + number) for number in range(40)]
    with io.BufferedRandom(_open(tmp_path / "file")) as file:
        for block in blocks:
            file.write(block)
    assert (tmp_path / "file").read_bytes() == b"".join(blocks)


def test_what_the_owner_changes_after_a_write_is_not_written(tmp_path: Path) -> None:
    data = bytearray(b"before")
    with _open(tmp_path / "file") as file:
        file.write(data)
        data[:] = b"after."
    assert (tmp_path / "file").read_bytes() == b"before"


_Step = st.one_of(
    st.tuples(st.just("write"), st.binary(max_size=50)),
    st.tuples(st.just("seek"), st.integers(0, 80)),
    st.tuples(st.just("read"), st.integers(0, 80)),
    st.tuples(st.just("truncate"), st.integers(0, 80)),
    st.tuples(st.just("tell"), st.just(0)),
    st.tuples(st.just("flush"), st.just(0)),
)


@given(steps=st.lists(_Step, max_size=30))
@settings(max_examples=200, deadline=None)
def test_it_is_a_file_like_any_other(
    steps: list[tuple[str, int | bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("files")
    with (
        io.BufferedRandom(_open(path / "mine"), 16) as mine,
        (path / "other").open("w+b", buffering=16) as other,
    ):
        for name, argument in steps:
            arguments = () if name in ("tell", "flush") else (argument,)
            assert getattr(mine, name)(*arguments) == getattr(other, name)(*arguments)
    assert (path / "mine").read_bytes() == (path / "other").read_bytes()


def test_what_others_wrote_is_brought_to_disk_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[int] = []

    def settle(descriptor: int) -> None:
        settled.append(os.fstat(descriptor).st_size)
        if len(settled) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(write_behind, "_settle", settle)
    file = _open(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"by its name")
    file.settle_soon()
    file.flush()
    assert settled == [11]
    file.settle_soon()
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        file.flush()
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        file.close()


def test_a_full_disk_is_told_to_the_owner_at_the_latest_by_flush() -> None:
    file = WriteBehind(os.open("/dev/full", os.O_RDWR))
    file.write(b"something")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        file.flush()
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        file.write(b"more")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        file.close()
    assert file.closed


def test_closing_ends_the_thread_and_frees_the_descriptor(tmp_path: Path) -> None:
    file = _open(tmp_path / "file")
    descriptor = file.fileno()
    file.close()
    file.close()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(descriptor)


def test_what_is_written_is_synced_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(write_behind, "_SYNC_BYTES", 2 * _BLOCK)
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with _open(tmp_path / "file") as file:
        for _ in range(5):
            file.write(bytes(_BLOCK))
    assert len(synced) == 2
