from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batcher.adapters.files import open_sink, parquet_sink
from batcher.adapters.files.parquet_types import ColumnType, to_arrow, type_of, widen
from batcher.core.kind import Field
from tests.files.reading import Inputs, records
from tests.files.writing import LABEL, VECTOR, batch, labels, names, schema, vectors, write


def read(path: Path) -> Any:
    return pq.read_table(path)


def test_vectors_are_lists_of_a_fixed_size(tmp_path: Path) -> None:
    array = np.random.default_rng(7).standard_normal((7, 16)).astype(np.float32)
    rows = [{"id": str(i), "text": "x"} for i in range(7)]
    path = write(
        tmp_path / "o.parquet",
        schema(VECTOR, dimension=16),
        batch(range(4), vectors=array[:4], records=rows[:4]),
        batch(range(3), vectors=array[4:], records=rows[4:]),
    )
    table = read(path)
    vector = pa.list_(pa.field("element", pa.float32(), nullable=False), 16)
    assert table.schema.types == [pa.string(), pa.string(), vector]
    assert table.schema.names == ["id", "text", "embedding"]
    assert np.array_equal(np.array(table["embedding"].to_pylist(), dtype=np.float32), array)
    column = pq.ParquetFile(path).metadata.row_group(0).column(2)
    assert (column.compression, column.statistics) == ("UNCOMPRESSED", None)
    assert "PLAIN_DICTIONARY" not in column.encodings


def test_columns_have_the_types_of_their_values(tmp_path: Path) -> None:
    fields = (
        *LABEL,
        Field(name="n", type="int"),
        Field(name="data", type="json"),
        Field(name="label", type="text"),
    )
    result = {"label": "x", "confidence": 1, "n": 3, "data": {"k": ["v"]}}
    record = {"s": "x", "i": 1, "f": 1.5, "b": True, "o": {"x": 1}, "m": 1, "z": None}
    other = {"s": "y", "i": None, "f": 2, "b": False, "o": [1], "m": "1"}
    path = write(
        tmp_path / "o.parquet",
        schema(fields, columns=tuple(record)),
        batch([0, 1], results=[result, {"data": "text"}], records=[record, other]),
    )
    table = read(path)
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == {
        "s": pa.string(),
        "i": pa.int64(),
        "f": pa.float64(),
        "b": pa.bool_(),
        "o": pa.string(),
        "m": pa.string(),
        "z": pa.string(),
        "label": pa.string(),
        "confidence": pa.float64(),
        "n": pa.int64(),
        "data": pa.string(),
        "label_result": pa.string(),
    }
    first, second = table.to_pylist()
    texts = {"o": '{"x":1}', "m": "1", "label": "x", "data": '{"k":["v"]}', "label_result": "x"}
    assert first == {**record, **texts, "confidence": 1.0, "n": 3}
    texts = {"o": "[1]", "m": "1", "data": '"text"'}
    nothing = dict.fromkeys(("z", "label", "confidence", "n", "label_result"))
    assert second == {**other, **texts, **nothing, "f": 2.0}


def test_a_type_that_proves_too_narrow_is_widened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_sink, "GROUP_ROWS", 2)
    values: list[Any] = [None, None, 1, 2, 2.5, 3, "x", {"k": 1}, None, True]
    groups = [values[i : i + 2] for i in range(0, len(values), 2)]
    batches = [
        batch(
            range(2),
            vectors=vectors([i, 0], [i, 1]),
            records=[{"v": value, "same": 1} for value in group],
        )
        for i, group in enumerate(groups)
    ]
    path = write(tmp_path / "o.parquet", schema(VECTOR, columns=("v", "same")), *batches)
    table = read(path)
    assert table["v"].to_pylist() == [
        None,
        None,
        "1.0",
        "2.0",
        "2.5",
        "3.0",
        "x",
        '{"k":1}',
        None,
        "true",
    ]
    assert table["same"].to_pylist() == [1] * 10
    assert table["embedding"].to_pylist() == [[i, j] for i in range(5) for j in (0.0, 1.0)]
    assert pq.ParquetFile(path).num_row_groups == 5
    assert names(tmp_path) == ["o.parquet"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], ColumnType.NOTHING),
        ([None], ColumnType.NOTHING),
        ([None, True], ColumnType.BOOL),
        ([1, None], ColumnType.INT),
        ([1, 2**60], ColumnType.BIG_INT),
        ([1, 2**64], ColumnType.TEXT),
        ([1, 2.5], ColumnType.FLOAT),
        ([2**60, 2.5], ColumnType.TEXT),
        ([True, 1], ColumnType.TEXT),
        (["a", None], ColumnType.TEXT),
        ([[1]], ColumnType.TEXT),
    ],
)
def test_types_of_values(values: list[Any], kind: ColumnType) -> None:
    assert type_of(values) is kind
    assert len(to_arrow(values, kind)) == len(values)


def test_widening_is_a_lattice() -> None:
    for a in ColumnType:
        assert (a | a) is a
        for b in ColumnType:
            assert (a | b) is (b | a)
            assert ((a | b) | b) is (a | b)
            array = to_arrow([None], a)
            assert widen(array, a | b).type == (a | b).arrow
            for c in ColumnType:
                assert ((a | b) | c) is (a | (b | c))


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [labels(*({"id": i, "text": "x" * 100} for i in range(1000))) for _ in range(25)]
    path = write(tmp_path / "o.parquet", schema(), *some)
    assert [pq.ParquetFile(path).metadata.row_group(i).num_rows for i in range(3)] == [
        10_000,
        10_000,
        5_000,
    ]
    monkeypatch.setattr(parquet_sink, "GROUP_BYTES", 200_000)
    path = write(tmp_path / "o.parquet", schema(), *some)
    assert pq.ParquetFile(path).num_row_groups > 10


def test_without_records(tmp_path: Path) -> None:
    one = batch(["a", 1], rows=[4, 5], results=[{"label": "x"}] * 2)
    table = read(write(tmp_path / "o.parquet", schema(), one))
    assert table.schema.names == ["id", "row", "label", "confidence"]
    assert table["id"].to_pylist() == ["a", "1"]
    assert table["row"].to_pylist() == [4, 5]


@pytest.mark.parametrize("dimension", [None, 3])
def test_nothing_at_all(tmp_path: Path, dimension: int | None) -> None:
    table = read(write(tmp_path / "o.parquet", schema(VECTOR, chunked=True, dimension=dimension)))
    assert table.num_rows == 0
    assert table.schema.names == ["id", "text", "chunk", "start", "end", "embedding"]
    assert table.schema.types[2:5] == [pa.int64()] * 3


def test_what_is_written_reads_back(inputs: Inputs) -> None:
    written = [{"id": i, "text": f"{i}\n\r"} for i in range(3000)]
    write(inputs.directory / "o.parquet", schema(), labels(*written))
    _, rows = inputs.read("o.parquet", id_column="id", columns=("text", "label"))
    assert [row.id for row in rows] == list(range(3000))
    assert records(rows)[7] == {"id": 7, "text": "7\n\r", "label": "good", "confidence": 0.5}


def test_an_abort_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_sink, "GROUP_ROWS", 1)
    sink = open_sink(str(tmp_path / "o.parquet"), schema=schema())
    sink.write(labels({"id": 1, "text": "x"}))
    sink.abort()
    sink.abort()
    assert names(tmp_path) == []
