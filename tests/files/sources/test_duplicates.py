from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.adapters.sources import duplicates
from batcher.adapters.sources.duplicates import (
    Duplicate,
    IdHashes,
    IdRows,
    find_duplicates,
)
from batcher.core.errors import InputError
from batcher.core.model import id_texts
from tests.files.reading import Inputs, bad

ADVICE = "ids are compared as text and must be unique; --on-bad-row skip leaves such rows out"


def test_ids_are_compared_as_text() -> None:
    assert list(id_texts([1, "1", True, "true", 1.5])) == ["1", "1", "true", "true", "1.5"]
    assert list(id_texts(["a", "b"])) == ["a", "b"]
    assert list(id_texts([1, "x"])) == ["1", "x"]


def test_the_error_names_both_lines_and_no_id(inputs: Inputs) -> None:
    with pytest.raises(InputError) as error:
        inputs.read("a.csv", 'id,text\nx1,"a\nb"\nx2,c\nx1,d\n', id_column="id")
    assert str(error.value) == (
        f"{inputs.directory / 'a.csv'}:5: the id in column 'id' is that of line 2: {ADVICE}"
    )


def test_the_first_repetition_is_the_one_reported(inputs: Inputs) -> None:
    content = "".join(f'{{"id": {i % 3000}}}\n' for i in range(6000))
    with pytest.raises(InputError, match="is that of line 1:") as error:
        inputs.read("a.jsonl", content, id_column="id")
    assert error.value.line == 3001


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 50), st.integers(1, 20))
def test_exactly_the_repeated_hashes_are_found(values: list[int], block: int, modulus: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_BLOCK", block)
        hashes = IdHashes()
        # Small integers are their own hashes.
        hashes.add(cast("list[str]", values))
        found = hashes.take_repeated().tolist()
    assert found == sorted({value for value in values if values.count(value) > 1})


class Colliding(str):
    """Text whose hash is its length."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True


@given(st.lists(st.text("ab", max_size=3), max_size=60), st.integers(1, 4))
def test_colliding_hashes_are_told_apart(ids: list[str], candidates: int) -> None:
    texts = [Colliding(text) for text in ids]
    hashes = IdHashes()
    hashes.add(texts)
    found: list[Duplicate] = []
    rows = IdRows(texts, range(len(ids)), lambda: range(1, len(ids) + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "CANDIDATES_A_PASS", candidates)
        find_duplicates(hashes.take_repeated(), lambda: [rows], found.append)
    assert {d.row: d.first_line for d in found} == {
        row: ids.index(text) + 1 for row, text in enumerate(ids) if text in ids[:row]
    }


def test_many_duplicates_take_several_passes(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "CANDIDATES_A_PASS", 7)
    content = "".join(f'{{"id": {i % 2000}}}\n' for i in range(5000))
    _, rows = inputs.read("a.jsonl", content, id_column="id", skip_bad=True)
    assert [row.number for row in rows] == list(range(5000))
    assert [line for *_, line, _, _ in bad(rows)] == list(range(2001, 5001))
    assert bad(rows)[-1][-1] == "the id in column 'id' is that of line 1000"


def test_eight_bytes_a_row() -> None:
    hashes = IdHashes()
    hashes.add(map(str, range(1000)))
    assert len(hashes.take_repeated()) == 0
    assert hashes.take_repeated().dtype == np.int64
