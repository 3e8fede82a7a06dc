"""Reading errors in every dialect: nothing raises, nothing leaks, nothing is longer than agreed."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.failures.reading import ProviderError, read_error
from batcher.core.text.redaction import MESSAGE_LIMIT, redact

WALL = 1_700_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"


def read(body: object, status: int = 400, **headers: str) -> ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_error(status, named, raw, wall=WALL, secrets=(SECRET,))


@pytest.mark.parametrize(
    ("body", "code", "param", "message"),
    [
        (
            {"error": {"message": "no", "type": "t", "param": "input", "code": "bad"}},
            "bad",
            "input",
            "no",
        ),
        ({"error": {"message": "no", "type": "t", "param": None, "code": None}}, "t", None, "no"),
        (
            {"object": "error", "message": "no", "type": "BadRequestError", "code": 400},
            "BadRequestError",
            None,
            "no",
        ),
        ({"error": {"code": "429", "message": "slow"}}, "429", None, "slow"),
        ({"error": "model not found"}, "", None, "model not found"),
        ({"detail": "Not Found"}, "", None, "Not Found"),
        (
            {"detail": [{"loc": ["body"], "msg": "bad"}]},
            "",
            None,
            "body: bad",
        ),
        ([{"error": {"code": 400, "message": "gemini"}}], "400", None, "gemini"),
        (
            b"<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>",
            "",
            None,
            "502 Bad Gateway 502",
        ),
        (b"<script>alert(1)</script><p>oops</p>", "", None, "oops"),
        (b"upstream connect error", "", None, "upstream connect error"),
        (b"", "", None, "HTTP 400"),
        (b"\xff\xfe", "", None, "\ufffd\ufffd"),
        ({}, "", None, "HTTP 400"),
        (3, "", None, "3"),
        (b"[" * 100_000, "", None, "["),
    ],
)
def test_every_dialect(body: Any, code: str, param: str | None, message: str) -> None:
    error = read(body)
    assert (error.code, error.param) == (code, param)
    assert error.message == message or (message == "[" and error.message.startswith("[["))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": formatdate(WALL + 90, usegmt=True)}, 90.0),
        ({"retry_after": formatdate(WALL - 90, usegmt=True)}, 0.0),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after_ms": "soon", "retry_after": "2"}, 2.0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert read({}, 429, **headers).retry_after == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 200ms. Visit", 0.2),
        ("Please try again in 8.64s.", 8.64),
        ("please Try Again in 6m0s", 360.0),
        ("try again in 1h0m0.5s", 3600.5),
        ("try again in 2h", 7200.0),
        ("try again in 1s200ms", 1.2),
        ("try again in a while", None),
        ("try again in 99999999999999h", None),
        ("try again later", None),
    ],
)
def test_the_wait_that_a_message_names(message: str, seconds: float | None) -> None:
    said = read({"error": {"message": message}}, 429)
    assert said.said_wait == (None if seconds is None else pytest.approx(seconds))
    assert said.retry_after is None


@given(
    number=st.integers(1, 9999),
    unit=st.sampled_from([("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)]),
    said=st.sampled_from(
        [
            "Please wait {} before retrying.",
            "try again in {}.",
            "Please retry after {}.",
            "wait for {}",
        ]
    ),
    many=st.booleans(),
)
def test_a_wait_in_words_is_read_in_every_unit(
    number: int, unit: tuple[str, int], said: str, many: bool
) -> None:
    """GitHub Models: ``Please wait 53411 seconds before retrying``."""
    message = said.format(f"{number} {unit[0]}{'s' if many else ''}")
    assert read({"error": {"message": message}}, 429).retry_after == number * unit[1]


@pytest.mark.parametrize(
    ("value", "read_as"), [("true", True), ("FALSE", False), ("yes", None), ("", None)]
)
def test_should_retry(value: str, read_as: bool | None) -> None:
    assert read({}, 500, x_should_retry=value).should_retry is read_as


@pytest.mark.parametrize(
    ("message", "redacted"),
    [
        ("Incorrect API key provided: sk-proj-abc123XYZ.", "Incorrect API key provided: [key]."),
        ("sent Bearer abc.def/ghijklmnop here", "sent [key] here"),
        (f"key {SECRET} and {SECRET}", "key [key] and [key]"),
        ("risk-averse tasks, ask-me-anything", "risk-averse tasks, ask-me-anything"),
        ("a\n\n  b\t c", "a b c"),
    ],
)
def test_redact(message: str, redacted: str) -> None:
    assert redact(message, (SECRET,)) == redacted


def test_a_stand_in_for_a_key_is_not_struck_from_every_word() -> None:
    assert redact("the next prefix", ("x", "none")) == "the next prefix"


def test_of_two_keys_the_longer_goes_first() -> None:
    assert redact("see secret-key-2", ("secret", "secret-key-2")) == "see [key]"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "param", "detail", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=8, max_size=40)


@given(
    st.integers(100, 599),
    BODIES,
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-should-retry"]), st.text(max_size=40)
    ),
)
def test_no_answer_raises(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = read_error(status, headers, body, wall=WALL)
    assert len(error.message) <= MESSAGE_LIMIT
    assert error.retry_after is None or error.retry_after >= 0


@given(SECRETS, st.lists(st.text(max_size=80), min_size=1, max_size=8))
def test_no_message_holds_the_secret(secret: str, parts: list[str]) -> None:
    message = secret.join(parts)
    for body in (message.encode("utf-8", "replace"), json.dumps({"error": message}).encode()):
        error = read_error(400, {}, body, wall=WALL, secrets=(secret,))
        assert secret not in error.message
        assert len(error.message) <= MESSAGE_LIMIT


@pytest.mark.parametrize("param", [None, "", "None", "null", 3])
def test_a_parameter_that_is_none_in_words_is_none(param: object) -> None:
    body = json.dumps({"error": {"message": "no", "param": param}}).encode()
    assert read_error(400, {}, body, wall=0.0).param is None
