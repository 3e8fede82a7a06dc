from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batcher.adapters.destinations import open_sink
from batcher.adapters.destinations.writers import parquet_sink
from batcher.adapters.destinations.writers.parquet_types import ColumnType, to_arrow, type_of, widen
from batcher.core.kind import Field
from batcher.ports import OutputBatch, OutputSchema
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


def arrow_batch(table: Any) -> OutputBatch:
    """Records of an Arrow input, each labelled."""
    count = table.num_rows
    return OutputBatch(
        ids=range(count), rows=range(count), results=[{"label": "x"}] * count, vectors=None,
        records=[], chunks=[], arrow=table,
    )  # fmt: skip


def schema_of(table: Any) -> OutputSchema:
    serialized = base64.b64encode(table.schema.serialize()).decode()
    return replace(schema(columns=tuple(table.column_names)), arrow_schema=serialized)


def test_columns_of_an_arrow_input_keep_their_types(tmp_path: Path) -> None:
    first = pa.table({
        "id": pa.array([1, 2], pa.uint8()),
        "label": pa.array([[{"t": 1_000}], None], pa.list_(pa.struct([("t", pa.time64("ns"))]))),
        "c": pa.array(["a", None]).dictionary_encode(),
    })  # fmt: skip
    second = first.slice(1).set_column(2, "c", pa.array(["z"]).dictionary_encode())
    path = write(tmp_path / "o.parquet", schema_of(first), arrow_batch(first), arrow_batch(second))
    found = pq.ParquetFile(path).read()
    assert found.schema.names == ["id", "label", "c", "label_result", "confidence"]
    assert found.schema.types[:3] == first.schema.types
    assert found.column("label").to_pylist() == [*first["label"].to_pylist(), None]
    assert found.column("c").to_pylist() == ["a", None, "z"]


def test_an_arrow_input_without_a_result_has_its_types_all_the_same(tmp_path: Path) -> None:
    table = pa.table({"t": pa.array([1], pa.timestamp("ns"))})
    path = write(tmp_path / "o.parquet", schema_of(table))
    assert pq.ParquetFile(path).schema_arrow.field("t").type == pa.timestamp("ns")


def test_types_stay_when_a_result_s_type_widens_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_sink, "GROUP_ROWS", 1)
    table = pa.table({
        "s": pa.array([{"a": 1, "d": 5}], pa.struct([("a", pa.int8()), ("d", pa.date32())])),
        "c": pa.array(["a"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
    })  # fmt: skip
    output = replace(schema_of(table), fields=(Field(name="n", type="float"),))
    batches = [replace(arrow_batch(table), results=[{"n": n}]) for n in (0.5, "text")]
    found = pq.ParquetFile(write(tmp_path / "o.parquet", output, *batches)).read()
    assert found.column("n").to_pylist() == ["0.5", "text"]
    assert found.schema.types[:2] == table.schema.types
    assert found.column("s").to_pylist() == table["s"].to_pylist() * 2


@pytest.mark.parametrize("rows", [1, 10_000])
def test_more_words_than_a_dictionary_s_index_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(parquet_sink, "GROUP_ROWS", rows)
    kind = pa.dictionary(pa.int8(), pa.string())
    words = [[f"{part}-{n}" for n in range(100)] for part in range(3)]
    tables = [pa.table({"c": pa.array(some).dictionary_encode().cast(kind)}) for some in words]
    path = write(tmp_path / "o.parquet", schema_of(tables[0]), *map(arrow_batch, tables))
    found = pq.read_table(path).column("c")
    assert found.type == pa.dictionary(pa.int32(), pa.string())
    assert found.to_pylist() == [word for some in words for word in some]


def test_every_leaf_of_a_nested_column_is_compressed(tmp_path: Path) -> None:
    table = pa.table({"s": [{"a.b": ["x" * 100], "c": 1}] * 50})
    output = replace(schema_of(table), fields=VECTOR)
    one = replace(arrow_batch(table), results=[], vectors=vectors(*[[0.5, 0.25]] * 50))
    group = pq.ParquetFile(write(tmp_path / "o.parquet", output, one)).metadata.row_group(0)
    assert [group.column(n).compression for n in range(group.num_columns)] == [
        "ZSTD", "ZSTD", "UNCOMPRESSED",
    ]  # fmt: skip


@pytest.mark.parametrize("view", [pa.string_view(), pa.binary_view()])
def test_views_within_other_types_are_written_as_plain_ones(tmp_path: Path, view: Any) -> None:
    value = "abc" if view == pa.string_view() else b"abc"
    plain = pa.string() if view == pa.string_view() else pa.binary()
    table = pa.table({
        "v": pa.array([value, None, value] * 500, view),
        "s": pa.array([{"x": value}, None, {"x": None}] * 500, pa.struct([("x", view)])),
        "l": pa.array([[value], None, []] * 500, pa.large_list(view)),
        "m": pa.array([[(value, value)], None, []] * 500, pa.map_(view, view)),
        "f": pa.array([[value], None, [None]] * 500, pa.list_(view, 1)),
    }).slice(1)  # fmt: skip
    found = read(write(tmp_path / "o.parquet", schema_of(table), arrow_batch(table)))
    for name in table.column_names:
        assert found.column(name).to_pylist() == table.column(name).to_pylist()
    assert found.schema.field("v").type == view
    assert found.schema.field("s").type == pa.struct([("x", plain)])
