from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
import zstandard

from batcher.core.kind import Field
from tests.files.reading import Inputs, records
from tests.files.writing import LABEL, VECTOR, batch, labels, schema, vectors, write


def test_jsonl_of_vectors(tmp_path: Path) -> None:
    path = write(
        tmp_path / "o.jsonl",
        schema(VECTOR, dimension=3),
        batch(["a", 7], rows=[0, 5], vectors=vectors([0.1, -1.5, 1e-9], [1, 2, 3])),
    )
    assert path.read_text() == (
        '{"id":"a","row":0,"embedding":[0.1,-1.5,1e-9]}\n'
        '{"id":7,"row":5,"embedding":[1.0,2.0,3.0]}\n'
    )


def test_jsonl_of_chunks(tmp_path: Path) -> None:
    path = write(
        tmp_path / "o.jsonl",
        schema(VECTOR, chunked=True),
        batch([1, 1], rows=[0, 0], vectors=vectors([0.5], [1]), chunks=[(0, 0, 9), (1, 9, 12)]),
    )
    assert path.read_text() == (
        '{"id":1,"row":0,"chunk":0,"start":0,"end":9,"embedding":[0.5]}\n'
        '{"id":1,"row":0,"chunk":1,"start":9,"end":12,"embedding":[1.0]}\n'
    )


def test_jsonl_of_results_in_the_fields_order(tmp_path: Path) -> None:
    results: list[dict[str, object]] = [
        {"confidence": 0.5, "label": "ü", "else": 1},
        {"label": None},
    ]
    path = write(tmp_path / "o.jsonl", schema(LABEL), batch([True, 1.5], results=results))
    assert path.read_text() == (
        '{"id":true,"row":0,"label":"ü","confidence":0.5}\n{"id":1.5,"row":1,"label":null}\n'
    )


def test_jsonl_of_ids_beyond_64_bits(tmp_path: Path) -> None:
    path = write(
        tmp_path / "o.jsonl", schema(VECTOR), batch([2**70, -(2**65)], vectors=vectors([1], [2]))
    )
    assert path.read_text() == (
        f'{{"id":{2**70},"row":0,"embedding":[1.0]}}\n{{"id":{-(2**65)},"row":1,"embedding":[2.0]}}\n'
    )


def test_vectors_come_back_to_the_bit(tmp_path: Path) -> None:
    array = np.random.default_rng(7).standard_normal((50, 64)).astype(np.float32)
    ids = list(range(50))
    jsonl = write(tmp_path / "o.jsonl", schema(VECTOR), batch(ids, vectors=array))
    rows = [{"id": "x", "text": "y"}] * 50
    table = write(tmp_path / "o.csv", schema(VECTOR), batch(ids, vectors=array, records=rows))
    from_jsonl = [orjson.loads(line)["embedding"] for line in jsonl.read_bytes().splitlines()]
    with table.open(newline="") as file:
        from_csv = [json.loads(row["embedding"]) for row in csv.DictReader(file, strict=True)]
    assert np.array_equal(np.array(from_jsonl, dtype=np.float32), array)
    assert np.array_equal(np.array(from_csv, dtype=np.float32), array)


def test_csv_has_the_inputs_columns_and_the_results(tmp_path: Path) -> None:
    path = write(
        tmp_path / "o.csv",
        schema(LABEL),
        labels({"id": "1", "text": 'say "hi",\nthen'}, {"id": "2", "text": ""}),
    )
    assert path.read_text() == (
        'id,text,label,confidence\n1,"say ""hi"",\nthen",good,0.5\n2,,good,0.5\n'
    )


def test_csv_of_vectors_and_chunks(tmp_path: Path) -> None:
    path = write(
        tmp_path / "o.csv",
        schema(VECTOR, chunked=True),
        batch(
            ["1"],
            vectors=vectors([0.5, 0.1]),
            records=[{"id": "1", "text": "a,b"}],
            chunks=[(0, 0, 3)],
        ),
    )
    assert path.read_text() == 'id,text,chunk,start,end,embedding\n1,"a,b",0,0,3,"[0.5,0.1]"\n'


def test_csv_values_that_are_no_text(tmp_path: Path) -> None:
    fields = (Field(name="found", type="json"), Field(name="n", type="int"))
    record = {"a": None, "b": True, "c": 1.5, "d": {"x": [1]}, "e": 2**70}
    path = write(
        tmp_path / "o.csv",
        schema(fields, columns=("a", "b", "c", "d", "e", "gone")),
        batch(
            [0, 1], results=[{"found": {"k": "v"}, "n": 3}, {"found": "s"}], records=[record, {}]
        ),
    )
    assert path.read_text() == (
        "a,b,c,d,e,gone,found,n\n"
        f',true,1.5,"{{""x"":[1]}}",{2**70},,"{{""k"":""v""}}",3\n'
        ',,,,,,"""s""",\n'
    )


def test_csv_without_records_says_which_row(tmp_path: Path) -> None:
    one = batch(["a"], rows=[4], results=[{"label": "x", "confidence": 1.0}])
    for columns in ((), ("id", "text")):
        path = write(tmp_path / "o.csv", schema(columns=columns), one)
        assert path.read_text() == "id,row,label,confidence\na,4,x,1.0\n"


def test_names_that_clash(tmp_path: Path) -> None:
    output = schema(VECTOR, columns=("embedding", "embedding_result", "end"), chunked=True)
    path = write(tmp_path / "o.csv", output)
    assert path.read_text() == (
        "embedding,embedding_result,end,chunk,start,end_result,embedding_result_result\n"
    )


def test_outputs_without_records(tmp_path: Path) -> None:
    assert write(tmp_path / "o.jsonl", schema()).read_bytes() == b""
    assert write(tmp_path / "o.csv", schema()).read_text() == "id,text,label,confidence\n"
    assert write(tmp_path / "p.csv", schema(), batch([])).read_text().startswith("id,text,")


def test_what_is_written_reads_back(inputs: Inputs) -> None:
    texts = ["a\rb", "\r", "\r\n", "\n", '"', ",", "", " x ", "\u2028", "'", '""', "#", "\ufeffx"]
    written = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    write(inputs.directory / "o.csv", schema(), labels(*written))
    _, rows = inputs.read("o.csv", id_column="id", columns=("text", "label"))
    assert [record["text"] for record in records(rows)] == texts


@pytest.mark.parametrize("column", [("text",), ("text", "b")])
def test_an_empty_only_column_is_no_blank_line(inputs: Inputs, column: tuple[str, ...]) -> None:
    output = schema(VECTOR, columns=column)
    rows = [{"text": ""}, {"text": "\r"}]
    write(
        inputs.directory / "o.csv", output, batch([0, 1], vectors=vectors([1], [2]), records=rows)
    )
    _, read = inputs.read("o.csv")
    assert [record["text"] for record in records(read)] == ["", "\r"]


@pytest.mark.parametrize("name", ["o.jsonl", "o.csv"])
def test_compressed_outputs(tmp_path: Path, name: str) -> None:
    one = labels({"id": "1", "text": "a" * 1000})
    plain = write(tmp_path / name, schema(), one).read_bytes()
    packed = write(tmp_path / f"{name}.gz", schema(), one).read_bytes()
    assert len(packed) < len(plain) or name == "o.jsonl"
    assert gzip.decompress(packed) == plain
    packed = write(tmp_path / f"{name}.zst", schema(), one).read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == plain


def test_pyarrow_is_imported_only_for_parquet() -> None:
    code = (
        "import sys; import batcher.adapters.destinations as d; sys.exit('pyarrow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "=cmd()",
        "+1 555 1234",
        "-call",
        "@here",
        "\tx",
        "\rx",
        "\n=x",
        "＝x",
        "+1+1",
        "-",
        "=1",
        "-1,5x",
    ],
)
def test_a_csv_cell_that_could_be_a_formula_is_quoted_if_asked_for(
    tmp_path: Path, text: str
) -> None:
    results = [{"label": text, "confidence": -0.5}]
    given = batch(["a"], results=results, records=[{"id": text, text: text}])
    for safe in (False, True):
        sink_schema = replace(schema(LABEL, columns=("id", text)), csv_safe=safe)
        path = write(tmp_path / "o.csv", sink_schema, given)
        with path.open(newline="") as lines:
            head, cells = csv.reader(lines)
        kept = f"'{text}" if safe else text
        assert head == ["id", kept, "label", "confidence"]
        assert cells == [kept, kept, kept, "-0.5"]


@pytest.mark.parametrize("text", ["-1.5", "+2", "-1e-9", "-.5", "-1,5", "-12%", "a=b", "'=x", ""])
def test_numbers_and_other_texts_stay_where_formulas_are_quoted(tmp_path: Path, text: str) -> None:
    given = batch(["a"], results=[{"label": text}], records=[{"id": -7, "text": text}])
    path = write(tmp_path / "o.csv", replace(schema(), csv_safe=True), given)
    with path.open(newline="") as lines:
        assert list(csv.reader(lines))[1][:3] == ["-7", text, text]
