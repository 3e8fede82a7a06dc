"""What people have: exports of spreadsheets and tools, in other encodings and with other marks."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.adapters.sources import open_source
from batcher.adapters.sources.encodings import is_windows_1252
from batcher.adapters.sources.readers.delimiters import guess_delimiter
from batcher.core.errors import InputError, UsageError
from tests.files.reading import Inputs, records

GERMAN = "Grüße aus Köln, 5 € für „Bücher“ – schön"
FRENCH = "L’été, déjà vu: ça coûte 5 €…"
ENGLISH = "“Don’t” – it’s £5"
TEXTS = [GERMAN, FRENCH, ENGLISH, "El niño comió ¿qué? ¡mañana!", "Smørrebrød på Ærø", "a º b ½"]
own_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


def read(inputs: Inputs, name: str, content: bytes, **options: Any) -> tuple[list[Any], list[str]]:
    """The records, and the notes."""
    asked = {"columns": options.pop("columns", ()), "id_column": options.pop("id_column", None)}
    path = inputs.write(name, content)
    with open_source(str(path), spool_dir=inputs.directory / "spool", **options) as source:
        facts = source.check(**asked, skip_bad=False)
        rows = [row for batch in source.rows() for row in batch]
        assert source.sha256() == facts.sha256
        notes = [note.removeprefix(f"{path} ") for note in source.notes]
    return records(rows), notes


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.csv.gz"])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_what_is_not_utf8_is_read_as_what_it_is_and_told(
    inputs: Inputs, name: str, text: str, encoding: str
) -> None:
    rows = [{"id": str(number), "text": f"{text} {number}"} for number in range(40)]
    if name.startswith("a.csv"):
        file = io.StringIO()
        writer = csv.DictWriter(file, ["id", "text"])
        writer.writeheader()
        writer.writerows(rows)
        written = file.getvalue()
    elif name == "a.jsonl":
        written = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        written = json.dumps(rows, ensure_ascii=False)
    content = written.encode(encoding)
    content = gzip.compress(content) if name.endswith(".gz") else content
    found, notes = read(inputs, name, content, columns=("text",), id_column="id")
    assert found == rows
    assert len(notes) == 1
    assert "--encoding gives another" in notes[0]
    said, silent = read(inputs, name, content, encoding=encoding)
    assert said == rows
    assert silent == []


def test_a_guess_is_made_of_the_whole_file(inputs: Inputs) -> None:
    lines = "id,text\n" + "".join(f"{i},{'x' * 100}\n" for i in range(30_000))
    content = lines.encode() + "30000,schön\n".encode("cp1252")
    found, notes = read(inputs, "a.csv", content, columns=("text",))
    assert found[-1] == {"id": "30000", "text": "schön"}
    assert notes == ["is not UTF-8 and is read as Windows-1252 (cp1252); --encoding gives another"]


@pytest.mark.parametrize(
    "content",
    [
        "Привет, как дела".encode("cp1251"),
        "こんにちは世界、テスト".encode("shift-jis"),
        "你好世界".encode("gbk"),
        "Καλημέρα κόσμε".encode("cp1253"),
        "Zażółć gęślą jaźń".encode("cp1250"),
        "déjà été".encode("mac-roman"),
        "déjà été".encode("cp850"),
        "schön ".encode() + b"\xe9",
        b"\xff",
        b"\x81",
    ],
)
def test_no_other_text_is_taken_for_windows_1252(inputs: Inputs, content: bytes) -> None:
    assert not is_windows_1252([content])
    with pytest.raises(InputError, match="or give its --encoding"):
        read(inputs, "a.csv", b"id,text\n1,sound\n2," + content + b"\n")


@given(st.lists(st.sampled_from(TEXTS), min_size=1), st.integers(1, 9))
def test_blocks_change_no_guess(texts: list[str], size: int) -> None:
    content = " ".join(texts).encode("cp1252")
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    assert is_windows_1252(blocks) == is_windows_1252([content]) is True


@given(st.text(), st.integers(1, 9))
def test_utf8_is_never_taken_for_anything_else(text: str, size: int) -> None:
    content = text.encode(errors="replace")
    assert not is_windows_1252([content[at : at + size] for at in range(0, len(content), size)])


def test_a_text_that_has_not_the_encoding_said_is_an_error_with_its_line(inputs: Inputs) -> None:
    with pytest.raises(InputError, match=r"a\.csv:3: the text is not cp1252"):
        read(inputs, "a.csv", b"id,text\n1,a\n2,\x81\n", encoding="cp1252")


@pytest.mark.parametrize("encoding", ["utf-9", "base64", "rot13", "", "a\0b"])
def test_what_is_no_encoding_is_refused(inputs: Inputs, encoding: str) -> None:
    with pytest.raises(UsageError, match="is not an encoding of text"):
        read(inputs, "a.csv", b"a\n1\n", encoding=encoding)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
@own_files
@given(table=st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_a_delimiter_is_guessed_where_the_columns_are_there_with_it(
    inputs: Inputs, mark: str, table: list[tuple[str, str]]
) -> None:
    table = [tuple(cell.replace("\0", "") for cell in row) for row in table]  # type: ignore[misc]
    file = io.StringIO()
    writer = csv.writer(file, delimiter=mark, quoting=csv.QUOTE_ALL)
    writer.writerow(("id", "text"))
    writer.writerows(table)
    content = file.getvalue().encode(errors="replace")
    found, notes = read(inputs, "a.csv", content, columns=("text",))
    told = "tab" if mark == "\t" else f"'{mark}'"
    assert notes == [f"has fields separated by {told}; --delimiter gives another"]
    said, silent = read(inputs, "a.csv", content, columns=("text",), delimiter=mark)
    assert (said, silent) == (found, [])
    assert len(found) == len(table)


def test_what_is_said_wins(inputs: Inputs) -> None:
    found, notes = read(inputs, "a.csv", b"a;b\n1;2\n", delimiter=",")
    assert (found, notes) == ([{"a;b": "1;2"}], [])


@pytest.mark.parametrize(
    ("lines", "asked", "mark"),
    [
        (["a;b\n", "1;2\n"], (), ";"),
        (["a;b\n", "1;2\n"], ("a;b",), ","),
        (["a,b;c\n", "1,2;3\n"], (), ","),
        (["a,b;c\n", "1,2;3\n"], ("c",), ";"),
        (["text; all of it\n", "one\n", "two\n"], (), ","),
        (["text\n", "a;b\n"], ("text",), ","),
        (["a;;b\n", "1;2;3\n"], (), ","),
        ([], ("a",), ","),
        (['a|"b\n', 'c"|d\n', "1|2|3\n"], ("d",), "|"),
    ],
)
def test_the_usual_mark_holds_unless_it_is_wrong(
    lines: list[str], asked: tuple[str, ...], mark: str
) -> None:
    assert guess_delimiter(lines, asked, ",") == mark


def test_a_tsv_file_has_tabs(inputs: Inputs) -> None:
    found, notes = read(inputs, "a.tsv", b"a,b\tc\n1\t2\n")
    assert (found, notes) == ([{"a,b": "1", "c": "2"}], [])
    assert read(inputs, "b.tsv.gz", gzip.compress(b"a\tb\n1\t2\n"))[0] == [{"a": "1", "b": "2"}]


def test_a_pipe_is_jsonl_unless_something_says_otherwise(inputs: Inputs) -> None:
    def piped(content: bytes, format: str | None = None) -> list[Any]:
        stdin = io.BytesIO(content)
        with open_source("-", format=format, spool_dir=inputs.directory, stdin=stdin) as source:
            source.check(id_column=None, columns=("a",), skip_bad=False)
            return records([row for batch in source.rows() for row in batch])

    assert piped(b'{"a": 1}\n') == [{"a": 1}]
    assert piped(b"a\n1\n", "csv") == [{"a": "1"}]
    assert piped(b'[{"a": 1}]', "json") == [{"a": 1}]
    with pytest.raises(InputError) as caught:
        piped(b"a\n1\n")
    assert str(caught.value) == (
        "standard input:1: the line is not JSON (character 1): a pipe is read as JSONL unless "
        "--format says otherwise"
    )


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("wanted", [("txt", None), ("text", "key")])
def test_what_no_row_has_is_not_a_row_s_fault(
    inputs: Inputs, wanted: tuple[str, str | None], skip_bad: bool
) -> None:
    column, id_column = wanted
    content = '{"text": 1, "keys": 2}\n' * 3_000
    with pytest.raises(InputError) as caught:
        inputs.read("a.jsonl", content, columns=(column,), id_column=id_column, skip_bad=skip_bad)
    assert "there is no column" in str(caught.value)
    assert "did you mean" in str(caught.value)
    assert "--on-bad-row" not in str(caught.value)


def test_skipping_is_suggested_where_it_helps(inputs: Inputs) -> None:
    with pytest.raises(InputError, match="--on-bad-row skip"):
        inputs.read("a.jsonl", '{"a": 1}\n{"text": 1}\n', columns=("text",))
    with pytest.raises(InputError, match="--on-bad-row skip"):
        inputs.read("a.jsonl", '{"a": 1}\n' * 3_000 + '{"text": 1}\n', columns=("text",))


def test_skipping_is_not_suggested_where_no_row_would_be_left(inputs: Inputs) -> None:
    with pytest.raises(InputError) as caught:
        inputs.read("a.jsonl", "id,text\n1,a\n2,b\n", columns=("text",))
    assert "--on-bad-row" not in str(caught.value)


def test_a_file_that_becomes_another_after_the_check_is_a_fault_of_its_rows(
    inputs: Inputs,
) -> None:
    path = inputs.write("a.csv", "id,text\n1,ä\n")
    with open_source(str(path), spool_dir=inputs.directory) as source:
        source.check(id_column=None, columns=("text",), skip_bad=False)
        path.write_bytes("id,text\n1,ä\n".encode("cp1252"))
        with pytest.raises(InputError, match="the line is not UTF-8"):
            list(source.rows())
