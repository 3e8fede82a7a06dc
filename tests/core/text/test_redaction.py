"""A key is struck however it is spelled, and nothing else is."""

from __future__ import annotations

import base64
import html
import json
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.failures.reading import read_error
from batcher.core.text.redaction import (
    MESSAGE_LIMIT,
    NAME_LIMIT,
    OTHER,
    redact,
    told_code,
    told_name,
)

KEY = "Xy7/canary+credential=0123456789&Qq"
KEYS = st.text(string.ascii_letters + string.digits + "-_+/=&.", min_size=24, max_size=200).filter(
    lambda key: any(letter in string.ascii_letters for letter in key)
)


def every(character: Callable[[str], str]) -> Callable[[str], str]:
    return lambda key: "".join(map(character, key))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "in a URL": lambda key: quote(key, safe=""),
    "in a query": quote_plus,
    "in a URL, whole": every(lambda c: f"%{ord(c):02x}"),
    "in a URL, twice": lambda key: quote(quote(key, safe=""), safe=""),
    "in JSON, whole": every(lambda c: f"\\u{ord(c):04x}"),
    "in JSON, the first": lambda key: f"\\u{ord(key[0]):04x}{key[1:]}",
    "in JSON in JSON": every(lambda c: f"\\\\u{ord(c):04x}"),
    "in JSON with slashes": lambda key: key.replace("/", "\\/"),
    "in Python": every(lambda c: f"\\x{ord(c):02x}"),
    "in HTML": html.escape,
    "in HTML, whole": every(lambda c: f"&#x{ord(c):x};"),
    "in HTML, decimal": every(lambda c: f"&#{ord(c)};"),
    "in blanks": " ".join,
    "in lines": lambda key: "\n".join(key[at : at + 5] for at in range(0, len(key), 5)),
    "in escaped lines": lambda key: "\\n".join(key[at : at + 5] for at in range(0, len(key), 5)),
    "in zero-width spaces": "\u200b".join,
    "in zeros": "\0".join,
    "in wide letters": every(lambda c: chr(ord(c) + 0xFEE0)),
    "in hex": lambda key: key.encode().hex(),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in base64 of a user": lambda key: base64.b64encode(f"me:{key}".encode()).decode(),
    "in base64 of a URL": lambda key: base64.urlsafe_b64encode(f"a{key}b".encode()).decode(),
    "in base64 in lines": lambda key: base64.encodebytes(key.encode()).decode(),
    "cut after three quarters": lambda key: key[: len(key) * 3 // 4],
    "without its beginning": lambda key: key[len(key) // 4 :],
}


def leaks(text: str, key: str) -> bool:
    """Whether twelve consecutive characters of a key stand in a text."""
    folded = text.casefold()
    return any(key[at : at + 12].casefold() in folded for at in range(len(key) - 11))


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_key_is_struck_in_any_spelling(spelling: Callable[[str], str]) -> None:
    told = redact(f"wrong key «{spelling(KEY)}», sorry", (KEY,))

    assert "[key]" in told
    assert not leaks(told, spelling(KEY))
    assert not leaks(told, KEY)
    assert told.startswith("wrong key «")
    assert told.endswith("», sorry")


@given(
    key=KEYS,
    spelling=st.sampled_from(list(SPELLINGS.values())),
    before=st.text(max_size=700),
    after=st.text(max_size=700),
)
def test_no_text_around_a_key_saves_it(
    key: str, spelling: Callable[[str], str], before: str, after: str
) -> None:
    said = spelling(key)
    told = redact(f"{before} {said} {after}", (key,))

    assert len(told) <= MESSAGE_LIMIT
    assert not leaks(told, key) or leaks(f"{before} {after}", key)
    assert len(said) < 16 or said.casefold() not in told.casefold()


@given(cut=st.integers(min_value=8, max_value=len(KEY)), room=st.integers(0, 600))
def test_a_key_that_an_end_cuts_off_is_struck(cut: int, room: int) -> None:
    for end in ("", "…", "...", '"'):
        told = redact("x" * room + " " + KEY[:cut] + end, (KEY,))
        assert KEY[:8] not in told


def test_a_key_at_the_limit_is_struck_before_the_message_is_cut() -> None:
    for room in range(MESSAGE_LIMIT - 60, MESSAGE_LIMIT + 5):
        assert KEY[:4] not in redact("x" * room + " " + KEY + " and more" * 20, (KEY,))


def test_what_a_credential_consists_of_is_struck_too() -> None:
    basic = "Basic " + base64.b64encode(b"me:pass word of 7 dwarfs").decode()

    assert redact("no pass word of 7 dwarfs here", (basic,)) == "no [key] here"
    assert redact(f"no {basic[6:]} here", (basic,)) == "no [key] here"
    assert redact("no abcdefgh-12345678 here", ("Bearer abcdefgh-12345678",)) == "no [key] here"
    assert redact("the bearer was wrong", ("Bearer abcdefgh-12345678",)) == "the bearer was wrong"


@pytest.mark.parametrize(
    "key",
    [
        "gsk_" + "a1" * 20,
        "AIza" + "b2" * 18,
        "hf_" + "c3" * 17,
        "xai-" + "d4" * 20,
        "AKIA" + "E5" * 8,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-def",
        "sk-proj-abc***********xyz",
    ],
)
def test_what_looks_like_anybodys_key_is_struck(key: str) -> None:
    assert redact(f"upstream refused {key}.") in (
        "upstream refused [key].",
        "upstream refused [key]",
    )


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=2_000))
def test_texts_without_a_key_stay(text: str) -> None:
    plain = " ".join(text.split()).replace("\0", "\ufffd")
    told = redact(plain, (KEY,))

    assert told == (plain if len(plain) <= MESSAGE_LIMIT else plain[: MESSAGE_LIMIT - 1] + "…")


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit reached for gpt-4o-mini: Limit 200000, Used 199000. Try again in 1.2s.",
        "50% of %20 used; see https://example.com/a%20b?c=%2F and C:\\new\\table",
        "the credential is wrong, the canary is dead",
        "日本語のエラー: モデルが見つかりません",
    ],
)
def test_ordinary_messages_stay_to_the_letter(message: str) -> None:
    assert redact(message, (KEY,)) == message


@given(code=st.text(max_size=80))
def test_a_code_is_a_word(code: str) -> None:
    told = told_code(code, (KEY,))

    assert told in (code, OTHER)
    assert len(told) <= 64
    assert all(c in string.ascii_letters + string.digits + "_.:-" for c in told)
    assert (told == "") == (code == "")


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "BadRequestError", "429", "a.b:c-d"])
def test_words_are_told_as_they_are(code: str) -> None:
    assert told_code(code, (KEY,)) == code


@pytest.mark.parametrize("code", ["x" * 65, "two words", "sk-abcdefgh", "\x1b[31m", "é", "a\nb"])
def test_what_is_no_word_is_other(code: str) -> None:
    assert told_code(code, (KEY,)) == OTHER


def test_a_code_with_a_key_is_other_and_a_name_without_it() -> None:
    key = "abcdefgh.12345678:xyz"

    assert told_code(f"bad-{key}", (key,)) == OTHER
    assert told_name(f"model/{key.upper()}", (key,)) == "model/[key]"
    assert len(told_name("n" * 1_000, (key,))) == NAME_LIMIT


@given(
    field=st.sampled_from(["code", "type", "param", "message"]),
    spelling=st.sampled_from(list(SPELLINGS.values())),
    shape=st.sampled_from(["error", "flat", "list", "detail", "text", "html"]),
    status=st.sampled_from([302, 400, 401, 403, 404, 429, 500, 503]),
)
def test_no_field_of_an_error_tells_a_key(
    field: str, spelling: Callable[[str], str], shape: str, status: int
) -> None:
    said = {"message": "no", "type": "t", "code": "c", "param": "input", field: spelling(KEY)}
    bodies: dict[str, object] = {
        "error": {"error": said},
        "flat": {"object": "error", **said},
        "list": [{"error": said}],
        "detail": {"detail": [{"loc": ["body", said["param"]], "msg": spelling(KEY)}]},
    }
    body = json.dumps(bodies[shape]).encode() if shape in bodies else spelling(KEY).encode()
    if shape == "html":
        body = b"<html><b>" + body + b"</b></html>"
    error = read_error(status, {"retry-after": KEY}, body, wall=0.0, secrets=(KEY,))

    for told in (error.code, error.type, error.param or "", error.message):
        assert not leaks(told, KEY)
        assert spelling(KEY).casefold() not in told.casefold()
