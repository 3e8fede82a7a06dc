from __future__ import annotations

import base64
import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest

from batcher.core.errors import InputError
from batcher.core.model import InputRow
from tests.files.reading import Inputs, bad, records


def write(inputs: Inputs, table: Any, **options: Any) -> None:
    pq.write_table(table, inputs.directory / "a.parquet", **options)


def test_values_become_plain(inputs: Inputs) -> None:
    when = dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)
    table = pa.table(
        {
            "id": [1, 2],
            "text": ["a", None],
            "when": [when, None],
            "day": [dt.date(2024, 2, 29)] * 2,
            "price": [Decimal("1.50"), Decimal("2.25")],
            "data": [b"\x00\xff", b""],
            "tags": [["x", "y"], []],
            "nested": [{"at": dt.date(2024, 1, 1), "n": 1}, None],
            "flag": [True, False],
            "score": [0.5, 1.0],
        }
    )
    write(inputs, table)
    facts, rows = inputs.read("a.parquet", id_column="id", columns=("text",))
    assert facts.columns == tuple(table.schema.names)
    assert [row.id for row in rows] == [1, 2]
    assert records(rows) == [
        {
            "id": 1,
            "text": "a",
            "when": "2024-02-29T12:30:00+00:00",
            "day": "2024-02-29",
            "price": "1.50",
            "data": "AP8=",
            "tags": ["x", "y"],
            "nested": {"at": "2024-01-01", "n": 1},
            "flag": True,
            "score": 0.5,
        },
        {
            "id": 2,
            "text": None,
            "when": None,
            "day": "2024-02-29",
            "price": "2.25",
            "data": "",
            "tags": [],
            "nested": None,
            "flag": False,
            "score": 1.0,
        },
    ]


@pytest.mark.parametrize("start", [0, 999, 1000, 1001, 2999, 3000])
def test_rows_from_a_number_on(inputs: Inputs, start: int) -> None:
    write(inputs, pa.table({"n": range(3000)}), row_group_size=1000)
    _, rows = inputs.read("a.parquet", start=start)
    assert [row.number for row in rows] == list(range(start, 3000))
    assert [record["n"] for record in records(rows)] == list(range(start, 3000))


def test_ids_that_are_none(inputs: Inputs) -> None:
    write(inputs, pa.table({"id": [1.0, None, float("nan"), 1.0]}))
    _, rows = inputs.read("a.parquet", id_column="id", skip_bad=True)
    assert bad(rows) == [
        (1, None, 2, "missing_id", "the row has no id in 'id'"),
        (2, None, 3, "bad_id", "the id in 'id' is not a string, finite number or boolean"),
        (3, 1.0, 4, "duplicate_id", "the id in column 'id' is that of row 0"),
    ]


def test_a_row_is_named_by_its_number(inputs: Inputs) -> None:
    write(inputs, pa.table({"id": ["a", "b", "a"]}))
    with pytest.raises(InputError) as error:
        inputs.read("a.parquet", id_column="id")
    assert str(error.value) == (
        f"{inputs.directory / 'a.parquet'}: row 2: the id in column 'id' is that of row 0: ids are "
        "compared as text and must be unique; --on-bad-row skip leaves such rows out"
    )


def test_faults_of_the_file(inputs: Inputs) -> None:
    with pytest.raises(InputError, match="the file is empty"):
        inputs.read("a.parquet", b"")
    with pytest.raises(InputError, match="not Parquet, or is damaged: make or download it again"):
        inputs.read("a.parquet", b"PAR1 nonsense")
    write(inputs, pa.table({"id": pa.array([], pa.int64())}))
    with pytest.raises(InputError, match="there are no rows"):
        inputs.read("a.parquet")
    write(inputs, pa.table({"id": [1], "txt": ["a"]}))
    with pytest.raises(InputError, match=r"no column 'text' \(did you mean 'txt'\?\)"):
        inputs.read("a.parquet", columns=("text",))
    write(inputs, pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))
    with pytest.raises(InputError, match="column 'a' is there twice"):
        inputs.read("a.parquet")


def test_a_damaged_page_is_found_by_the_check(inputs: Inputs) -> None:
    table = pa.table({"id": range(20_000), "text": [f"text {i * i}" for i in range(20_000)]})
    write(inputs, table, compression="zstd")
    path = inputs.directory / "a.parquet"
    content = bytearray(path.read_bytes())
    content[4:404] = bytes(400)
    with pytest.raises(InputError, match="is not Parquet, or is damaged"):
        inputs.read("a.parquet", bytes(content))


def test_a_text_that_is_not_utf8_is_a_fault_of_its_row(inputs: Inputs) -> None:
    texts = pa.Array.from_buffers(
        pa.string(), 3, pa.array([b"a", b"\xff", b"c"], pa.binary()).buffers()
    )
    write(inputs, pa.table({"id": [1, 2, 3], "text": texts}))
    with pytest.raises(InputError) as error:
        inputs.read("a.parquet", id_column="id")
    assert str(error.value) == (
        f"{inputs.directory / 'a.parquet'}: row 1: column 'text' holds a text that is not UTF-8: "
        "write the file again from its source; --on-bad-row skip leaves such rows out"
    )
    _, rows = inputs.read("a.parquet", id_column="id", skip_bad=True)
    assert bad(rows) == [(1, None, 2, "bad_value", "column 'text' holds a text that is not UTF-8")]
    assert isinstance(rows[2], InputRow)
    assert rows[2].record == {"id": 3, "text": "c"}


def test_a_struct_with_two_fields_of_one_name_is_refused(inputs: Inputs) -> None:
    struct = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    write(inputs, pa.table({"s": pa.ListArray.from_arrays([0, 1], struct)}))
    with pytest.raises(InputError, match="column 's' is a struct with two fields 'a': rename one"):
        inputs.read("a.parquet")


def test_the_facts_have_the_schema(inputs: Inputs) -> None:
    write(inputs, pa.table({"t": pa.array([1], pa.timestamp("ns", "UTC"))}))
    facts, rows = inputs.read("a.parquet")
    assert facts.arrow_schema is not None
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(facts.arrow_schema)))
    assert schema == pa.schema([("t", pa.timestamp("ns", "UTC"))])
    (row,) = rows
    assert isinstance(row, InputRow)
    assert row.record == {"t": "1970-01-01T00:00:00.000000001+00:00"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_no_id(inputs: Inputs, value: float) -> None:
    write(inputs, pa.table({"id": [1.0, value]}))
    with pytest.raises(InputError, match=r"row 1: the id in 'id' is not a string, finite number"):
        inputs.read("a.parquet", id_column="id")


def test_list_views_of_views_are_refused(inputs: Inputs) -> None:
    write(inputs, pa.table({"v": pa.array([["a"]], pa.list_view(pa.string_view()))}))
    with pytest.raises(InputError, match=r"column 'v' is of type list_view<.*>, which cannot be"):
        inputs.read("a.parquet")


class Keys(encryption.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """Wraps a key by writing it down."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return base64.b64decode(wrapped_key)


@pytest.mark.parametrize("plaintext_footer", [True, False])
def test_an_encrypted_file_is_told_as_one(inputs: Inputs, plaintext_footer: bool) -> None:
    how = encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["text"]}, plaintext_footer=plaintext_footer
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    sealed = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    raw = pa.BufferOutputStream()
    table = pa.table({"text": ["a"]})
    with pq.ParquetWriter(raw, table.schema, encryption_properties=sealed) as writer:
        writer.write_table(table)

    with pytest.raises(InputError, match="the file is encrypted: write it without"):
        inputs.read("in.parquet", raw.getvalue().to_pybytes())


def test_a_column_nested_too_deep_is_told_as_such(inputs: Inputs) -> None:
    column = pa.array([1])
    for _ in range(60):
        column = pa.ListArray.from_arrays([0, 1], column)
    raw = pa.BufferOutputStream()
    pq.write_table(pa.table({"t": column}), raw)

    with pytest.raises(InputError, match="nested deeper than can be read"):
        inputs.read("in.parquet", raw.getvalue().to_pybytes())
