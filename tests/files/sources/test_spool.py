"""Copies of what can be read only once: bounded by a limit, and by the room on the disk."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.adapters.sources import Spool, open_source
from batcher.adapters.sources.spool import LEAST_ROOM_BYTES
from batcher.core.errors import InputError

LINE = b'{"id": 1}\n'


class Endless(io.RawIOBase):
    """A stream that has no end; counts what was taken of it."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        lines = LINE * (len(buffer) // len(LINE))
        buffer[: len(lines)] = lines
        self.taken += len(lines)
        return len(lines)


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with so many bytes of room, which each copy's own length takes up."""
    room = LEAST_ROOM_BYTES + 10_000_000
    monkeypatch.setattr(
        os,
        "fstatvfs",
        lambda file: SimpleNamespace(f_bavail=room - os.fstat(file).st_size, f_frsize=1),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 5_000), over=st.integers(-1, 1), step=st.integers(1, 2_000))
def test_the_limit_is_exact(tmp_path: Path, size: int, over: int, step: int) -> None:
    """However it comes; and it is counted anew after a failure."""
    content = bytes(size)
    most = size - over
    spool = Spool(tmp_path, source="x", most_bytes=most)
    try:
        for _ in range(2):
            spool.empty()
            if over > 0:
                with pytest.raises(InputError, match="--max-input-bytes"):
                    spool.copy(io.BytesIO(content))
                spool.empty()
                with pytest.raises(InputError, match=f"{most:,} bytes"):
                    spool.expect(size)
                continue
            for at in range(0, size, step):
                spool.write(content[at : at + step])
            assert spool.open().read() == content
    finally:
        spool.close()


def test_an_endless_stream_ends_at_the_limit(tmp_path: Path) -> None:
    stream: Any = Endless()
    with pytest.raises(InputError, match="standard input: is longer than --max-input-bytes"):
        open_source(
            "-",
            format="jsonl",
            spool_dir=tmp_path,
            max_bytes=5_000_000,
            stdin=io.BufferedReader(stream),
        )
    assert stream.taken < 8_000_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_disk")
def test_an_endless_stream_leaves_room_on_the_disk(tmp_path: Path) -> None:
    stream: Any = Endless()
    with pytest.raises(InputError, match=r"the disk has 12\d MB left .*128 MB stay free"):
        open_source("-", format="jsonl", spool_dir=tmp_path, stdin=io.BufferedReader(stream))
    assert stream.taken < 12_000_000


def test_a_pipe_has_the_same_limit(tmp_path: Path) -> None:
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)

    def write() -> None:
        try:
            with pipe.open("wb") as stream:
                while True:
                    stream.write(LINE * 1_000)
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(InputError, match=r"rows\.jsonl: is longer than --max-input-bytes"):
            open_source(str(pipe), spool_dir=tmp_path / "spool", max_bytes=1_000_000)
    finally:
        writer.join()
