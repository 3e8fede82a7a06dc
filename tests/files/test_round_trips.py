"""Any table comes back as it was, whatever is in its cells."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.files.reading import Inputs, records
from tests.files.writing import labels, schema, write

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
QUIRKS = st.text(st.sampled_from('",;\t\r\n \ufeff\u2028x'))
ROWS = st.lists(
    st.tuples(TEXT.filter(bool), TEXT | QUIRKS), min_size=1, unique_by=lambda row: row[0]
)


@given(ROWS)
@settings(deadline=None)
def test_any_table_as_csv_jsonl_and_parquet(table: list[tuple[str, str]]) -> None:
    written = [{"id": id_, "text": text} for id_, text in table]
    with tempfile.TemporaryDirectory() as directory:
        inputs = Inputs(Path(directory))
        for name in ("o.csv", "o.csv.gz", "o.parquet"):
            write(inputs.directory / name, schema(), labels(*written))
        inputs.write("o.jsonl", "".join(json.dumps(record) + "\n" for record in written))
        for name in ("o.csv", "o.csv.gz", "o.parquet", "o.jsonl"):
            facts, rows = inputs.read(name, id_column="id", columns=("text",))
            assert facts.rows == len(table)
            assert [row.id for row in rows] == [id_ for id_, _ in table]
            assert [record["text"] for record in records(rows)] == [text for _, text in table]
