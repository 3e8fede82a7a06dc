"""JSON arrays: every element a row, whatever is in it, in memory that does not grow with rows."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.adapters.sources import open_source
from batcher.adapters.sources.readers.json_array import element_lines, place_of
from batcher.core.errors import InputError
from tests.files.reading import Inputs, bad, records

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def cut(text: bytes, size: int) -> list[Any]:
    blocks = [text[at : at + size] for at in range(0, len(text), size)]
    return [
        json.loads(line)
        for lines in element_lines(blocks, source="a.json")
        for line in lines.splitlines()
    ]


@given(
    st.lists(JSON), st.integers(1, 40), st.sampled_from([None, 0, 3]), st.booleans(),
    st.sampled_from(["", " \n", "\ufeff", "\ufeff\r\n\t"]),
)  # fmt: skip
def test_every_array_is_cut_into_its_elements(
    elements: list[Any], size: int, indent: int | None, ascii: bool, before: str
) -> None:
    text = before + json.dumps(elements, indent=indent, ensure_ascii=ascii) + before.strip("\ufeff")
    assert cut(text.encode(errors="surrogatepass"), size) == elements


@given(st.lists(JSON, min_size=1), st.integers(1, 40), st.data())
def test_an_array_that_ends_early_is_never_taken_for_whole(
    elements: list[Any], size: int, data: st.DataObject
) -> None:
    text = json.dumps(elements).encode()
    end = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(InputError, match=r"ends too early|the file is empty"):
        cut(text[:end], size)


def test_rows_are_read_with_all_their_digits(inputs: Inputs) -> None:
    content = '[\n  {"id": 1, "n": 123456789012345678901234567890},\n  {"id": 2, "n": "[{,"}\n]\n'
    facts, rows = inputs.read("a.json", content, id_column="id", columns=("n",))
    assert (facts.rows, facts.columns) == (2, ("id", "n"))
    assert records(rows)[0]["n"] == 123456789012345678901234567890
    assert records(rows)[1]["n"] == "[{,"


def test_jsonl_in_a_file_of_that_name_is_read_as_that(inputs: Inputs) -> None:
    path = inputs.write("a.json", '\n{"a": 1}\n{"a": [2,\t3]}\n')
    with open_source(str(path), spool_dir=inputs.directory) as source:
        source.check(id_column=None, columns=("a",), skip_bad=False)
        assert records([row for batch in source.rows() for row in batch]) == [
            {"a": 1}, {"a": [2, 3]},
        ]  # fmt: skip
        assert source.notes == (f"{path} holds one JSON object a line, and is read as JSONL",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "there are no rows|the file is empty"),
        ("[]", "there are no rows"),
        ('[{"a": 1},, {"a": 2}]', "element 1 is missing: there is one comma too many"),
        ('[{"a": 1},]', "element 1 is missing"),
        ('[{"a": 1}] [', "there is more text after the array's end"),
        ('{\n"rows": [{"a": 1}]\n}', "the file holds an object and not an array of objects"),
        ("a,b\n1,2\n", "the file holds something else and not an array of objects"),
        ('[{"a": 1}, {"a": }]', r"row 1: the element is not JSON \(character 7\): every element"),
        ('[{"a": 1} {"a": 2}, {"a": 3}]', "row 0: the element is not JSON"),
        ('[{"a": 1}, 3]', "row 1: the element is a number, not an object: every element must be"),
        ('[{"a": 1}, {"b": 3}]', "row 1: the row has no key 'a', only b: every row needs it"),
        ('[{"b": 3}]', "there is no column 'a': there are b$"),
    ],
)
def test_faults(inputs: Inputs, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        inputs.read("a.json", content, columns=("a",))


def test_faulty_elements_are_skipped_in_their_place(inputs: Inputs) -> None:
    content = '[{"a": 1}, 3, {"a":\n\n }, {"a": 2}]'
    _, rows = inputs.read("a.json", content, columns=("a",), skip_bad=True)
    assert [code for *_, code, _ in bad(rows)] == ["not_an_object", "not_json"]
    assert [row.number for row in rows] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('\n[\n  {"a": 1},\n\n  {"b":\n2}\n]', "a.json:5: row 1: the row has no key 'a'"),
        ('[\n{"a":\n1},\n{"a": NaN}]', "a.json:4: row 1: 'a' is NaN"),
        ('[{"a": 1},\n\n,{"a": 1}]', "a.json:3: element 1 is missing"),
        ('[{"a": 1}\n]\n\n[', "a.json:4: there is more text after the array's end"),
        ('[{"a": 1},\n{"a": "\n', "a.json:3: the array ends too early"),
        ('{"a": 1}\n\n{"b": 1}\n', "a.json:3: the row has no key 'a'"),
    ],
)
def test_a_fault_has_its_line(inputs: Inputs, content: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        inputs.read("a.json", content, columns=("a",))
    assert place in str(caught.value)


def test_an_id_that_stood_before_has_its_line(inputs: Inputs) -> None:
    content = json.dumps([{"id": 1}, {"id": 2}, {"id": 1}], indent=2)
    with pytest.raises(
        InputError, match=r"a\.json:8: row 2: the id in column 'id' is that of row 0"
    ):
        inputs.read("a.json", content, id_column="id", columns=())


@given(
    st.lists(st.sampled_from([" ", "\n", "\r\n", "\t"]), max_size=6).map("".join),
    st.lists(st.sampled_from(["", "\n", "\n\n "]), min_size=1, max_size=6),
    st.integers(1, 40),
)
def test_every_element_has_the_line_on_which_it_begins(
    before: str, gaps: list[str], size: int
) -> None:
    text, lines = f"\ufeff{before}[", []
    for number, gap in enumerate(gaps):
        text += gap
        lines.append(text.count("\n") + 1)
        text += f'{{"a":{gap}"[{number},"{gap}}}{gap}' + ("," if number + 1 < len(gaps) else "]")
    data = text.encode()
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    for number, line in enumerate(lines, 1):
        assert place_of(iter(blocks), number, source="a.json") == (line, number - 1)


@pytest.mark.parametrize("start", [0, 1, 1024, 2_999])
def test_rows_from_a_number_on(inputs: Inputs, start: int) -> None:
    content = json.dumps([{"n": number} for number in range(3_000)], indent=1)
    _, rows = inputs.read("a.json", content, start=start)
    assert [row.number for row in rows] == list(range(start, 3_000))


def test_memory_does_not_grow_with_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("w") as file:
        file.write("[")
        file.writelines(f'{{"id":{i},"text":"{"x" * 400}"}},' for i in range(50_000))
        file.write('{"id":-1,"text":""}]')
    source = open_source(str(path), spool_dir=tmp_path)
    tracemalloc.start()
    try:
        facts = source.check(id_column=None, columns=("text",), skip_bad=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert facts.rows == 50_001
    assert facts.size_bytes > 20 << 20
    assert peak < 8 << 20
