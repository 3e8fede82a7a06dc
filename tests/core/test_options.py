"""A kind's options: every kind's errors read alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.core.kind import Option, TextFile
from batcher.core.options import read_options, require_one, write_record

DECLARED = (
    Option(name="text", help="…"),
    Option(name="labels_file", help="…", type="path"),
    Option(name="max_tokens", help="…", type="int", at_least=1),
    Option(name="share", help="…", type="float", at_least=0.5),
    Option(name="overlong", help="…", choices=("error", "mean"), default="error"),
    Option(name="confidence", help="…", type="flag", default=False),
)


def test_every_option_has_its_value_or_its_default() -> None:
    assert read_options("kind", DECLARED, {"max_tokens": 1, "share": 0.5, "text": None}) == {
        "text": None,
        "labels_file": None,
        "max_tokens": 1,
        "share": 0.5,
        "overlong": "error",
        "confidence": False,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_tokens": 0}, "--max-tokens must be at least 1, not 0"),
        ({"share": 0.25}, "--share must be at least 0.5, not 0.25"),
        ({"share": float("nan")}, "--share must be at least 0.5, not nan"),
        ({"max_tokens": "5"}, "--max-tokens takes int, not '5'"),
        ({"max_tokens": True}, "--max-tokens takes int, not True"),
        ({"confidence": 1}, "--confidence takes flag, not 1"),
        ({"overlong": "cut"}, "--overlong is one of error, mean, not 'cut'"),
        ({"max_token": 5}, "kind has no option --max-token; it has --confidence, "),
    ],
)
def test_a_wrong_option_says_what_would_be_right(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_options("kind", DECLARED, given)
    assert str(raised.value).startswith(message)


def test_one_of_several_is_needed_and_only_one() -> None:
    file = TextFile("labels.txt", "a\nb")
    assert require_one("kind", {"text": None, "labels_file": file}, "text", "labels_file") == (
        "labels_file"
    )
    with pytest.raises(UsageError, match="kind needs --text or --labels-file"):
        require_one("kind", {"text": None, "labels_file": None}, "text", "labels_file")
    with pytest.raises(UsageError, match="kind takes only one of --text or --labels-file"):
        require_one("kind", {"text": "a", "labels_file": file}, "text", "labels_file")


LISTED = (Option(name="labels", help="…", type="list", item="label"),)


@given(st.lists(st.text(), min_size=2))
def test_a_list_as_one_record_of_csv_comes_back(texts: list[str]) -> None:
    texts = [text.strip() for text in texts]
    assert read_options("kind", LISTED, {"labels": write_record(texts)})["labels"] == tuple(texts)
    assert read_options("kind", LISTED, {"labels": texts})["labels"] == tuple(texts)


@pytest.mark.parametrize("text", ['a,"b', 'a,"b"c', "a,b\nc"])
def test_what_is_no_record_of_csv_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="--labels is not one line of CSV"):
        read_options("kind", LISTED, {"labels": text})


def test_a_list_holds_texts() -> None:
    with pytest.raises(UsageError, match="--labels is a list of texts, and 1 is not a text"):
        read_options("kind", LISTED, {"labels": ["a", 1]})
    with pytest.raises(UsageError, match="--labels takes list, not 5"):
        read_options("kind", LISTED, {"labels": 5})


def test_a_whole_number_has_a_bound() -> None:
    with pytest.raises(UsageError, match="--max-tokens must be at most 9223372036854775807"):
        read_options("kind", DECLARED, {"max_tokens": 2**63})
