from __future__ import annotations

import csv
import hashlib
import io
from typing import Any

import pytest

from batcher.adapters.sources import open_source
from batcher.adapters.sources.readers.csv_reader import MAX_FIELD_CHARS
from batcher.core.errors import InputError, UsageError
from batcher.core.model import InputRow
from tests.files.reading import Inputs, bad, records

SAVE = "save the file as UTF-8, or give its --encoding"
SKIP = "--on-bad-row skip leaves such rows out"


def test_rows_are_numbered_from_zero_and_carry_their_columns(inputs: Inputs) -> None:
    content = "text,id\nhello,a\nworld,b\n"
    facts, rows = inputs.read("a.csv", content, id_column="id", columns=("text",))
    assert rows == [
        InputRow(number=0, id="a", record={"text": "hello", "id": "a"}),
        InputRow(number=1, id="b", record={"text": "world", "id": "b"}),
    ]
    assert (facts.rows, facts.columns, facts.size_bytes) == (2, ("text", "id"), len(content))
    assert facts.sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_without_an_id_column_the_number_is_the_id(inputs: Inputs) -> None:
    _, rows = inputs.read("a.csv", "text\nhello\nworld\n")
    assert [row.id for row in rows] == [0, 1]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("id,text\n1,a\n2,b\n", {}),
        ("\ufeffid,text\n1,a\n2,b\n", {}),
        ('\ufeff"id",text\n1,a\n2,b\n', {}),
        ("id,text\r\n1,a\r\n2,b\r\n", {}),
        ("id,text\r1,a\r2,b\r", {}),
        ("id,text\r1,a\r2,b", {}),
        ("\n\nid,text\n1,a\n\n2,b\n\n\r\n\n", {}),
        ("id\ttext\n1\ta\n2\tb", {"delimiter": "tab"}),
        ("id\ttext\n1\ta\n2\tb", {"delimiter": "\\t"}),
        ("id;text\n1;a\n2;b", {"delimiter": ";"}),
        ('id,text\n"1","a"\n2,b', {}),
    ],
    ids=["lf", "bom", "bom-quote", "crlf", "cr", "cr-open", "blank", "tab", "\\t", ";", "quotes"],
)
def test_spellings_of_the_same_table(inputs: Inputs, content: str, options: Any) -> None:
    _, rows = inputs.read("a.csv", content, id_column="id", columns=("text",), **options)
    assert records(rows) == [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_blank_line_of_a_file_with_one_column_is_a_row_without_text(
    inputs: Inputs, end: str
) -> None:
    lines = ["", "text", "", "one", "", "", '"two', 'lines"', '""', "", ",", "", ""]
    _, rows = inputs.read("a.csv", end.join(lines), skip_bad=True)

    texts = [row.record["text"] if isinstance(row, InputRow) else None for row in rows]
    assert texts == ["", "one", "", "", f"two{end}lines", "", "", None]
    assert bad(rows) == [(7, 7, 11, "ragged_row", "expected 1 fields, found 2")]


@pytest.mark.parametrize("start", [0, 1, 5000, 5001])
def test_however_many_blank_lines_keep_the_numbers_of_the_rows(inputs: Inputs, start: int) -> None:
    content = "text\nfirst\n" + "\n" * 4999 + "last" + "\n" * 3000
    facts, rows = inputs.read("a.csv", content, start=start)

    assert facts.rows == 5001
    assert [row.number for row in rows] == list(range(start, 5001))
    assert {row["text"] for row in records(rows)[1:-1]} <= {""}
    if start < 5001:
        assert records(rows)[-1] == {"text": "last"}


def test_blank_lines_alone_are_no_rows(inputs: Inputs) -> None:
    with pytest.raises(InputError, match="there are no rows"):
        inputs.read("a.csv", "text\n\n\n")


def test_fields_hold_line_breaks_quotes_and_delimiters(inputs: Inputs) -> None:
    _, rows = inputs.read("a.csv", 'text\n"a\r\nb\rc\nd"\n"say ""hi"", all"\n\u2028\x0b\n')
    assert records(rows) == [
        {"text": "a\r\nb\rc\nd"},
        {"text": 'say "hi", all'},
        {"text": "\u2028\x0b"},
    ]


def test_a_field_may_be_long(inputs: Inputs) -> None:
    text = "x" * 3_000_000
    _, rows = inputs.read("a.csv", f"id,text\n1,{text}\n")
    assert records(rows)[0]["text"] == text


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (b"", (), "{}: the file is empty: it needs a header and rows"),
        (b"\n\n", (), "{}: the file is empty: it needs a header and rows"),
        (b"\xef\xbb\xbf", (), "{}: the file is empty: it needs a header and rows"),
        (b"id,text\n", (), "{}: there are no rows: is this the right file?"),
        (b"id,text\n\n\n", (), "{}: there are no rows: is this the right file?"),
        (b"id,a,a\n1,2,3\n", (), "{}:1: column 'a' is there twice: rename one of them"),
        (b"\nid,,a\n1,2,3\n", (), "{}:2: column 2 of the header has no name: give it one"),
        (
            b"id,txt\n1,2\n",
            ("text",),
            "{}: there is no column 'text' (did you mean 'txt'?): there are id, txt",
        ),
        (b"id,b\n1,2\n", ("text",), "{}: there is no column 'text': there are id, b"),
        (
            b"id;body\n1;2\n",
            ("text",),
            "{}: there is no column 'text': there are id, body",
        ),
        (
            b"id\tbody\n1\t2\n",
            ("text",),
            "{}: there is no column 'text': there are id, body",
        ),
        (
            b"id,text\n1,a\0b\n",
            (),
            "{}:2: a NUL byte: is the file damaged, or not text at all?",
        ),
        (
            b"id;body\n1;2;3\n4;5\n",
            ("text",),
            "{}: there is no column 'text': there are id;body; "
            "if another character separates the fields, give --delimiter ';'",
        ),
        (
            b"id,text\n1,a\n2,\xff\n",
            (),
            f"{{}}:3: the line is not UTF-8: {SAVE}; {SKIP}",
        ),
        (
            b"id,text\n1\n2\n",
            (),
            "{}:2: expected 2 fields, found 1: quote fields that hold the delimiter",
        ),
        (
            b'id,text\n1,"a\nb"\n\n2,c,d\n',
            (),
            f"{{}}:5: expected 2 fields, found 3: quote fields that hold the delimiter; {SKIP}",
        ),
        (
            b"id,text\n1,a\n2\n",
            (),
            f"{{}}:3: expected 2 fields, found 1: quote fields that hold the delimiter; {SKIP}",
        ),
    ],
)
def test_faults(inputs: Inputs, content: bytes, columns: tuple[str, ...], message: str) -> None:
    path = inputs.directory / "a.csv"
    with pytest.raises(InputError) as error:
        inputs.read("a.csv", content, columns=columns)
    assert str(error.value) == message.format(path)


@pytest.mark.parametrize(
    "content",
    [
        'id,text\n1,"a\nb"\n\n2,"c\n3,d\n4,e\n',
        'id,text\n1,"a\nb"\n\n2,"c"d\n3,e\n',
        'id,text\n1,"a\nb"\n\n2,"c\n3,d\n4,"e"\n',
    ],
    ids=["open", "inside", "closed-later"],
)
def test_a_quote_gone_wrong_names_the_line_where_its_row_begins(
    inputs: Inputs, content: str
) -> None:
    for skip_bad in (False, True):
        with pytest.raises(InputError) as error:
            inputs.read("a.csv", content, skip_bad=skip_bad)
        assert str(error.value) == (
            f"{inputs.directory / 'a.csv'}:5: a quoted field that begins in this row is not "
            'closed, or holds a quote that is not doubled: write "" for a quote inside a '
            "quoted field"
        )


def test_an_open_quote_does_not_swallow_a_huge_file(inputs: Inputs) -> None:
    content = 'id,text\n1,a\n2,"b\n' + "3,c\n" * (MAX_FIELD_CHARS // 4 + 1)
    with pytest.raises(InputError, match=r"a.csv:3: a field .* never closed"):
        inputs.read("a.csv", content)


def test_lines_are_counted_over_blocks_and_batches(inputs: Inputs) -> None:
    lines = [f'{i},"two\nlines {"x" * 100}"\n' for i in range(30_000)]
    content = "id,text\n" + "".join(lines) + "oops\n"
    with pytest.raises(InputError) as error:
        inputs.read("a.csv", content)
    assert error.value.line == 60_002
    broken = content.encode().replace(b"29999,", b"\xff,")
    with pytest.raises(InputError, match="not UTF-8") as error:
        inputs.read("a.csv", broken)
    assert error.value.line == 60_000


def test_skipped_rows_come_in_their_place(inputs: Inputs) -> None:
    content = b'id,text\n1,"a\nb"\n\n2,c,d\n3,\xff\n3,ok\n3,again\n,none\n3,and again\n4,"last\n"\n'
    facts, rows = inputs.read("a.csv", content, id_column="id", columns=("text",), skip_bad=True)
    assert facts.rows == 8
    assert bad(rows) == [
        (1, None, 5, "ragged_row", "expected 2 fields, found 3"),
        (2, None, 6, "invalid_utf8", "the row is not UTF-8"),
        (4, "3", 8, "duplicate_id", "the id in column 'id' is that of line 7"),
        (5, None, 9, "missing_id", "the row has no id in 'id'"),
        (6, "3", 10, "duplicate_id", "the id in column 'id' is that of line 7"),
    ]
    assert [row for row in rows if isinstance(row, InputRow)] == [
        InputRow(number=0, id="1", record={"id": "1", "text": "a\nb"}),
        InputRow(number=3, id="3", record={"id": "3", "text": "ok"}),
        InputRow(number=7, id="4", record={"id": "4", "text": "last\n"}),
    ]


def test_a_header_that_is_not_utf8_is_never_skipped(inputs: Inputs) -> None:
    with pytest.raises(InputError, match=r":1: the header is not UTF-8: save the file as"):
        inputs.read("a.csv", b"id,t\xff\n1,2\n", skip_bad=True)


@pytest.mark.parametrize("start", [0, 1, 1023, 1024, 1025, 2500, 2999, 3000])
def test_rows_from_a_number_on(inputs: Inputs, start: int) -> None:
    content = "id,text\n" + "".join(f"{i},t\n\n" for i in range(3000))
    _, rows = inputs.read("a.csv", content, start=start)
    assert [row.number for row in rows] == list(range(start, 3000))


def test_batches_are_of_a_thousand_rows(inputs: Inputs) -> None:
    path = inputs.write("a.csv", "id\n" + "".join(f"{i}\n" for i in range(2500)))
    source = open_source(str(path), spool_dir=inputs.directory)
    source.check(id_column=None, columns=(), skip_bad=False)
    assert [len(batch) for batch in source.rows()] == [1024, 1024, 452]


def test_a_delimiter_is_one_character(inputs: Inputs) -> None:
    for delimiter in ("", ";;", "\n", '"'):
        with pytest.raises(UsageError, match="neither one character nor 'tab'"):
            inputs.read("a.csv", "a\n1\n", delimiter=delimiter)
    with pytest.raises(UsageError, match="--delimiter is for CSV, and the input is jsonl"):
        inputs.read("a.jsonl", "{}\n", delimiter=";")


def test_errors_never_quote_a_row(inputs: Inputs) -> None:
    secret = "hunter2"
    for content in (
        f"id,text\n1,{secret},{secret}\n",
        f'id,text\n1,"{secret}\n',
        f"id,text\n{secret},a\n{secret},b\n",
        f"id,text\n1,{secret}\0\n",
    ):
        with pytest.raises(InputError) as error:
            inputs.read("a.csv", content, id_column="id", columns=("text",))
        assert secret not in str(error.value)


def test_the_limit_of_fields_is_never_lowered(inputs: Inputs) -> None:
    former = csv.field_size_limit(MAX_FIELD_CHARS * 2)
    try:
        inputs.read("a.csv", "a\n1\n")
        assert csv.field_size_limit() == MAX_FIELD_CHARS * 2
    finally:
        csv.field_size_limit(former)


def test_the_csv_module_keeps_what_it_read_before_an_error() -> None:
    """The reader finds the line of a broken quote by this."""
    taken: list[list[str]] = []
    with pytest.raises(csv.Error):
        taken.extend(csv.reader(io.StringIO('a\nb\n"c"d\n'), strict=True))
    assert taken == [["a"], ["b"]]


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "\ufeffSEP={}"])
def test_a_first_line_may_say_the_delimiter(inputs: Inputs, mark: str, end: str, line: str) -> None:
    rows = [line.format(mark), f"id{mark}text", f"1{mark}a", f"2{mark}b"]
    _, found = inputs.read("a.csv", end.join(rows) + end, id_column="id")
    assert records(found) == [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]


def test_the_line_that_says_the_delimiter_is_counted_as_one(inputs: Inputs) -> None:
    with pytest.raises(InputError, match=r"a\.csv:4: expected 2 fields, found 3"):
        inputs.read("a.csv", "sep=;\nid;text\n1;a\n2;b;c\n")
    with pytest.raises(InputError, match=r"a\.csv:4: a quoted field"):
        inputs.read("a.csv", 'sep=;\nid;text\n1;a\n2;"b"c\n')
    with pytest.raises(InputError, match=r"a\.csv: the file is empty"):
        inputs.read("a.csv", "sep=;\n")


def test_a_delimiter_that_is_asked_for_wins_over_the_file(inputs: Inputs) -> None:
    _, found = inputs.read("a.csv", "sep=;\nid,text\n1,a;b\n", delimiter=",")
    assert records(found) == [{"id": "1", "text": "a;b"}]


@pytest.mark.parametrize("header", ["sep=", "sep=ab", "separator", " sep=;"])
def test_a_header_that_says_no_delimiter_is_a_header(inputs: Inputs, header: str) -> None:
    facts, _ = inputs.read("a.csv", f"{header}\nx\n")
    assert facts.columns == (header,)
