"""What is printed moves no cursor, forges no line and hides nothing; plain text stays."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.text.inert import inert, inert_json

DANGEROUS = {"Cc", "Cf", "Zl", "Zp", "Cs"}


def is_dangerous(text: str) -> bool:
    return any(unicodedata.category(character) in DANGEROUS for character in text)


def test_every_character_that_could_do_harm_is_escaped() -> None:
    left = [
        f"U+{code:04X}"
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in DANGEROUS and is_dangerous(inert(chr(code)))
    ]
    assert left == []


@given(st.text(st.characters()))
def test_a_text_is_one_inert_line_and_stays_so(text: str) -> None:
    shown = inert(text)

    assert not is_dangerous(shown)
    assert len(shown.splitlines()) <= 1
    assert inert(shown) == shown
    assert is_dangerous(text) or shown == text or any(ord(c) >= 0x115F for c in text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]8;;http://x\x07y", "\\x1b[2J\\x1b]8;;http://x\\x07y"),
        ("a\r\nb\tc\x08\x7f", "a\\r\\nb\\tc\\x08\\x7f"),
        ("\x9b31m \x85\u2028\u2029", "\\u009b31m \\u0085\\u2028\\u2029"),
        ("\u202egnp.exe\u2066\u200b\ufeff", "\\u202egnp.exe\\u2066\\u200b\\ufeff"),
        ("\udc80", "\\udc80"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_escapes_are_in_plain_sight(text: str, shown: str) -> None:
    assert inert(text) == shown


@pytest.mark.parametrize(
    "text", ["é", "日本語", "Ελλάδα", "עברית", "हिन्दी", "🙂 a\u00a0b", "a\\nb"]
)
def test_plain_text_of_any_script_stays(text: str) -> None:
    assert inert(text) == text


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text()))
def test_json_means_the_same(value: dict[str, str]) -> None:
    shown = inert_json(json.dumps(value, ensure_ascii=False))

    assert json.loads(shown) == value
    assert not is_dangerous(shown)
