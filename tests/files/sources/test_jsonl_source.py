from __future__ import annotations

import json
import re

import pytest

from batcher.adapters.sources.readers import jsonl_reader, lines
from batcher.core.errors import InputError
from batcher.core.model import InputRow
from tests.files.reading import Inputs, bad, records

SAVE = "save the file as UTF-8, or give its --encoding"
SKIP = "--on-bad-row skip leaves such rows out"
ONE_OBJECT = f"every line must be one JSON object; {SKIP}"


def test_objects_keep_their_types(inputs: Inputs) -> None:
    content = '{"id": 7, "text": "a", "n": [1, {"x": null}]}\n{"id": "b", "text": "ü", "f": 1.5}\n'
    facts, rows = inputs.read("a.jsonl", content, id_column="id", columns=("text",))
    assert rows == [
        InputRow(number=0, id=7, record={"id": 7, "text": "a", "n": [1, {"x": None}]}),
        InputRow(number=1, id="b", record={"id": "b", "text": "ü", "f": 1.5}),
    ]
    assert facts.columns == ("id", "text", "n", "f")


def test_ndjson_blank_lines_crlf_bom_and_no_last_line_end(inputs: Inputs) -> None:
    _, rows = inputs.read("a.ndjson", '\ufeff\r\n{"a": 1}\r\n \t\r\n\n{"a": 2}\r\n{"a": 3}')
    assert records(rows) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_the_last_of_equal_keys_wins(inputs: Inputs) -> None:
    _, rows = inputs.read("a.jsonl", '{"a": 1, "a": 2}\n')
    assert records(rows) == [{"a": 2}]


def test_integers_beyond_64_bits_keep_their_digits(inputs: Inputs) -> None:
    big = 2**70 + 1
    content = f'{{"id": {big}, "f": 1e300}}\n{{"id": {big + 1}, "f": 0.5}}\n'
    _, rows = inputs.read("a.jsonl", content, id_column="id")
    assert [row.id for row in rows] == [big, big + 1]
    assert records(rows)[0] == {"id": big, "f": 1e300}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{}: there are no rows: is this the right file?"),
        (b"\n \n", "{}: there are no rows: is this the right file?"),
        (
            b'{"text": 1}\n\n{"text": }\n',
            f"{{}}:3: the line is not JSON (character 10): {ONE_OBJECT}",
        ),
        (
            b'{"text": NaN}\n',
            f"{{}}:1: 'text' is NaN, which JSON cannot represent (write null or a text): "
            f"{ONE_OBJECT}",
        ),
        (
            b'{"text": 1}\n{"text": {"a": [0, -Infinity]}}\n',
            "{}:2: 'text.a[1]' is -Infinity, which JSON cannot represent (write null or a text): "
            f"{ONE_OBJECT}",
        ),
        (
            b"NaN\n",
            f"{{}}:1: the line is NaN, which JSON cannot represent (write null or a text): "
            f"{ONE_OBJECT}",
        ),
        (
            b'{"text": "\\ud800"}\n',
            "{}:1: 'text' has \\ud800, half of a surrogate pair: no UTF-8 text can hold it; "
            f"{SKIP}",
        ),
        (
            b'{"text": 1, "\\udc00": 1}\n',
            f"{{}}:1: the line has \\udc00, half of a surrogate pair: no UTF-8 text can hold it; "
            f"{SKIP}",
        ),
        (
            b'{"text": 1e200000}\n',
            "{}:1: the line has a number whose exponent is out of all bounds: write it as a text; "
            f"{SKIP}",
        ),
        (
            b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
            "{}:1: the line is nested more than 500 levels deep: write what is further in as a "
            f"text; {SKIP}",
        ),
        (
            b'{"text": ' + b"[" * 600 + b"]" * 600 + b"}\n",
            "{}:1: the line is nested more than 500 levels deep: write what is further in as a "
            f"text; {SKIP}",
        ),
        (
            b'{"text": 1}\n[{"text": 1}]\n',
            f"{{}}:2: the line is an array, not an object: {ONE_OBJECT}",
        ),
        (
            b"3\n",
            f"{{}}:1: the line is a number, not an object: {ONE_OBJECT}",
        ),
        (
            b'{"text": 1}\n{"text": "\xff"}\n',
            f"{{}}:2: the line is not UTF-8: {SAVE}; {SKIP}",
        ),
        (
            b'{"text": 1}\n{"txt": 1}\n',
            f"{{}}:2: the row has no key 'text', only txt: every row needs it; {SKIP}",
        ),
    ],
)
def test_faults(inputs: Inputs, content: bytes, message: str) -> None:
    sound = (
        b'{"text": "sound"}\n' if content.strip() else b""
    )  # or it would not help to skip others
    with pytest.raises(InputError) as error:
        inputs.read("a.jsonl", content + sound, columns=("text",))
    assert str(error.value) == message.format(inputs.directory / "a.jsonl")


def test_skipped_rows_come_in_their_place(inputs: Inputs) -> None:
    content = (
        b'{"id": 1, "text": "x"}\n\n{"id": "1", "text": "x"}\n[1]\n{"id": 2}\nNaN\n'
        b'{"id": "\xff"}\n{"id": null, "text": ""}\n{"text": ""}\n{"id": "", "text": ""}\n'
        b'{"id": [], "text": ""}\n{"id": true, "text": ""}\n{"id": "true", "text": ""}\n'
        b'{"id": 2, "text": "the other had none"}\n{"id": 2.5, "text": ""}\n'
    )
    facts, rows = inputs.read("a.jsonl", content, id_column="id", columns=("text",), skip_bad=True)
    assert facts.rows == 14
    assert bad(rows) == [
        (1, "1", 3, "duplicate_id", "the id in column 'id' is that of line 1"),
        (2, None, 4, "not_an_object", "the line is an array, not an object"),
        (3, 2, 5, "missing_column", "the row has no key 'text'"),
        (
            4,
            None,
            6,
            "not_json",
            "the line is NaN, which JSON cannot represent (write null or a text)",
        ),
        (5, None, 7, "invalid_utf8", "the line is not UTF-8"),
        (6, None, 8, "missing_id", "the row has no id in 'id'"),
        (7, None, 9, "missing_id", "the row has no id in 'id'"),
        (8, None, 10, "missing_id", "the row has no id in 'id'"),
        (9, None, 11, "bad_id", "the id in 'id' is not a string, finite number or boolean"),
        (11, "true", 13, "duplicate_id", "the id in column 'id' is that of line 12"),
    ]
    assert [row.id for row in rows if isinstance(row, InputRow)] == [1, True, 2, 2.5]


@pytest.mark.parametrize("start", [0, 1, 1024, 2500, 2999, 3000])
def test_rows_from_a_number_on(inputs: Inputs, start: int) -> None:
    content = "".join(json.dumps({"n": i, "pad": "x" * 500}) + "\n\n" for i in range(3000))
    _, rows = inputs.read("a.jsonl", content, start=start)
    assert [row.number for row in rows] == list(range(start, 3000))
    assert [record["n"] for record in records(rows)] == list(range(start, 3000))


def test_lines_are_counted_over_blocks(inputs: Inputs) -> None:
    content = "".join(json.dumps({"n": i, "pad": "x" * 500}) + "\n\n" for i in range(5000)) + "no"
    with pytest.raises(InputError) as error:
        inputs.read("a.jsonl", content)
    assert error.value.line == 10_001


def test_an_endless_line_is_refused(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 20)
    with pytest.raises(InputError, match=r"a.jsonl:2: the line is longer than 1 MiB"):
        inputs.read("a.jsonl", "{}\n" + " " * (3 << 20))


def test_keys_are_not_gathered_without_end(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_reader, "MAX_COLUMNS", 10)
    with pytest.raises(InputError, match="more than 10 different keys"):
        inputs.read("a.jsonl", "".join(f'{{"k{i}": 1}}\n' for i in range(11)))


def test_errors_never_quote_a_row(inputs: Inputs) -> None:
    secret = "hunter2"
    for content in (f'{{"id": "{secret}"\n', f'{{"id": "{secret}"}}\n' * 2, f'"{secret}"\n'):
        with pytest.raises(InputError) as error:
            inputs.read("a.jsonl", content, id_column="id")
        assert secret not in str(error.value)


@pytest.mark.parametrize("sound", [1, 1023, 1024, 1025, 2048])
def test_a_torn_last_line_may_be_skipped_wherever_batches_end(inputs: Inputs, sound: int) -> None:
    content = '{"a": 1}\n' * sound + '{"a": '
    with pytest.raises(InputError, match=rf":{sound + 1}: .*{re.escape(SKIP)}$"):
        inputs.read("a.jsonl", content)
