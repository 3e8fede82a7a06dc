from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batcher.adapters.sources import open_source
from batcher.core.errors import InputError, UsageError
from batcher.ports import InputSource
from tests.files.reading import Inputs, Rows, records


def read_stdin(content: bytes, format: str, directory: Path) -> list[dict[str, object]]:
    stdin = io.BytesIO(content)
    source: InputSource
    rows: Rows = []
    with open_source("-", format=format, spool_dir=directory / "new", stdin=stdin) as source:
        facts = source.check(id_column="id", columns=("text",), skip_bad=False)
        for _ in range(2):
            rows = [row for batch in source.rows() for row in batch]
            assert source.sha256() == facts.sha256
    return records(rows)


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("csv", b"id,text\n1,a\n"),
        ("csv", gzip.compress(b"id,text\n1,a\n", mtime=0)),
        ("jsonl", b'{"id": "1", "text": "a"}'),
    ],
    ids=["csv", "csv.gz", "jsonl"],
)
def test_standard_input_is_read_twice(tmp_path: Path, format: str, content: bytes) -> None:
    assert read_stdin(content, format, tmp_path) == [{"id": "1", "text": "a"}]
    assert not (tmp_path / "new").exists()


def test_parquet_from_standard_input(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": ["1"], "text": ["a"]}), stream)
    assert read_stdin(stream.getvalue(), "parquet", tmp_path) == [{"id": "1", "text": "a"}]


def test_standard_input_is_named_in_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^standard input:2: expected 2 fields, found 3: "):
        read_stdin(b"id,text\n1,a,b\n", "csv", tmp_path)


def test_a_spool_is_on_disk_without_a_name_and_closed_twice(tmp_path: Path) -> None:
    source = open_source("-", format="csv", spool_dir=tmp_path, stdin=io.BytesIO(b"id\n1\n"))
    assert list(tmp_path.iterdir()) == []
    source.close()
    source.close()


def test_a_pipe_is_spooled(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("id,text\n1,a\n",))
    writer.start()
    with open_source(str(pipe), spool_dir=tmp_path / "spool") as source:
        writer.join()
        source.check(id_column="id", columns=("text",), skip_bad=False)
        assert records([row for batch in source.rows() for row in batch]) == [
            {"id": "1", "text": "a"}
        ]


def test_a_format_overrules_the_name(inputs: Inputs) -> None:
    _, rows = inputs.read("data.txt", "a\n1\n", format="csv")
    assert records(rows) == [{"a": "1"}]


@pytest.mark.parametrize("name", ["data", "data.txt", "data.parquet.gz", "data.npy", "data.gz"])
def test_a_name_that_tells_nothing(inputs: Inputs, name: str) -> None:
    with pytest.raises(UsageError, match="the name does not tell the format: give --format"):
        inputs.read(name, "a\n1\n")


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="no input format 'xml': there are csv, json, jsonl, parquet"
    ):
        open_source("a.csv", format="xml", spool_dir=tmp_path)
    with pytest.raises(InputError, match=r"none\.csv: there is no such file$"):
        open_source(str(tmp_path / "none.csv"), spool_dir=tmp_path)
    with pytest.raises(InputError, match="is a directory: name a file in it"):
        open_source(str(tmp_path), format="csv", spool_dir=tmp_path)
    (tmp_path / "file.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"file\.csv/a\.csv: cannot be read: Not a directory"):
        open_source(str(tmp_path / "file.csv" / "a.csv"), spool_dir=tmp_path)


def test_the_hash_is_known_only_at_the_end(inputs: Inputs) -> None:
    source = open_source(str(inputs.write("a.csv", "a\n1\n")), spool_dir=inputs.directory)
    with pytest.raises(RuntimeError, match="has not come to its end"):
        source.sha256()


def test_input_that_changes_has_another_hash(inputs: Inputs) -> None:
    path = inputs.write("a.csv", "a\n1\n")
    source = open_source(str(path), spool_dir=inputs.directory)
    facts = source.check(id_column=None, columns=(), skip_bad=False)
    path.write_text("a\n2\n")
    assert sum(map(len, source.rows())) == 1
    assert source.sha256() != facts.sha256
