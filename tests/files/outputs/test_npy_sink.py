from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from batcher.adapters.destinations import check_output, open_sink
from batcher.adapters.destinations.writers.npy_sink import HEADER_BYTES, npy_header
from batcher.core.errors import UsageError
from tests.files.writing import LABEL, VECTOR, batch, names, schema, vectors, write


def test_vectors_alone(tmp_path: Path) -> None:
    array = np.random.default_rng(7).standard_normal((5, 16)).astype(np.float32)
    path = write(
        tmp_path / "o.npy",
        schema(VECTOR, dimension=16),
        batch(range(3), vectors=array[:3]),
        batch([]),
        batch(range(2), vectors=array[3:][:, ::1]),
    )
    loaded = np.load(path, allow_pickle=False)
    assert (loaded.dtype, loaded.flags.c_contiguous) == (np.dtype("<f4"), True)
    assert np.array_equal(loaded, array)
    assert np.load(path, mmap_mode="r").shape == (5, 16)


@pytest.mark.parametrize(("dimension", "shape"), [(None, (0, 0)), (8, (0, 8))])
def test_no_vectors(tmp_path: Path, dimension: int | None, shape: tuple[int, int]) -> None:
    path = write(tmp_path / "o.npy", schema(VECTOR, dimension=dimension))
    assert np.load(path).shape == shape


def test_the_header_has_one_width() -> None:
    for count in (0, 10**18):
        assert len(npy_header(count, 10**6)) == HEADER_BYTES
    stream = io.BytesIO(npy_header(10**9, 1536)[8:])
    assert np.lib.format.read_array_header_1_0(stream) == ((10**9, 1536), False, np.dtype("<f4"))


def test_vectors_of_another_length_are_refused(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "o.npy"), schema=schema(VECTOR))
    sink.write(batch([0], vectors=vectors([1, 2])))
    with pytest.raises(ValueError, match="1 vectors of 3, expected 2"):
        sink.write(batch([1], vectors=vectors([1, 2, 3])))
    sink.abort()


def test_what_npy_cannot_hold(tmp_path: Path) -> None:
    path = str(tmp_path / "o.npy")
    others = "use .jsonl, .csv or .parquet"
    for refuse in (check_output, open_sink):
        with pytest.raises(UsageError, match=f"npy holds only vectors: {others}"):
            refuse(path, schema=schema(LABEL))
        with pytest.raises(UsageError, match=f"cannot say which row a chunk belongs to: {others}"):
            refuse(path, schema=schema(VECTOR, chunked=True))
        with pytest.raises(
            UsageError, match=r"output: an \.npy file cannot be written to a stream"
        ):
            refuse("-", format="npy", schema=schema(VECTOR))
    with pytest.raises(UsageError, match=r"null: an \.npy file cannot be written to a stream"):
        open_sink("/dev/null", format="npy", schema=schema(VECTOR))
    assert names(tmp_path) == []
