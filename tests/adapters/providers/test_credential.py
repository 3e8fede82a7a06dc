"""Keys and headers as people have them: with a line break behind, and what cannot be sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.adapters.providers.credential import read_credential
from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec

KEY = "sk-canary-0123456789"
AROUND = st.text(st.sampled_from(" \t\r\n\ufeff\u200b\u00a0"), max_size=4)
INSIDE = st.sampled_from([*map(chr, range(0x20)), "\x7f", "\x85", "\u2028"])


def spec(**more: Any) -> JobSpec:
    return JobSpec(kind="chat", input="in.csv", model="m", **more)


@given(AROUND, AROUND)
def test_what_is_around_a_key_is_not_part_of_it(before: str, after: str) -> None:
    credential = read_credential(spec(), {"OPENAI_API_KEY": f"{before}{KEY}{after}"})
    assert credential.headers == {"Authorization": f"Bearer {KEY}"}
    assert credential.secrets == (KEY,)


@given(AROUND, AROUND)
def test_what_is_around_a_headers_value_is_not_part_of_it(before: str, after: str) -> None:
    headers = {"api-key": f"{before}Token $MINE{after}", "X-Team": f"{before}search{after}"}
    credential = read_credential(spec(headers=headers), {"MINE": f"{after}{KEY}{before}"})
    assert credential.headers == {"api-key": f"Token {KEY}", "X-Team": "search"}
    assert credential.secrets == (KEY,)


@given(INSIDE)
def test_a_control_character_inside_is_refused_and_the_key_not_quoted(control: str) -> None:
    broken = f"{KEY}{control}{KEY}"
    for headers, environment in (
        ({}, {"OPENAI_API_KEY": broken}),
        ({"api-key": "$MINE"}, {"MINE": broken}),
        ({"X-Team": f"a{control}b"}, {"OPENAI_API_KEY": KEY}),
    ):
        with pytest.raises(UsageError, match="control character") as raised:
            read_credential(spec(headers=headers), environment)
        assert "canary" not in str(raised.value)


@pytest.mark.parametrize("key", ["sk-canary\u2014", "sk-\u0441anary", "schl\u00fcssel"])
def test_a_key_with_a_letter_that_no_key_has_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as raised:
        read_credential(spec(), {"OPENAI_API_KEY": key})
    assert "sk-" not in str(raised.value)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection"])
def test_a_header_that_says_how_a_request_is_sent_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"--header {name} says how a request is sent"):
        read_credential(spec(headers={name: "5"}), {"OPENAI_API_KEY": "sk-canary"})


@pytest.mark.parametrize("name", ["X Team", "X:Team", "X\nTeam", "", "\u00fcber"])
def test_what_is_no_headers_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a header"):
        read_credential(spec(headers={name: "a"}), {"OPENAI_API_KEY": KEY})


def test_a_key_of_blanks_alone_is_none() -> None:
    with pytest.raises(UsageError, match="no key in the environment"):
        read_credential(spec(), {"OPENAI_API_KEY": " \n"})


@pytest.mark.parametrize("stream", [True, 1, "true"])
def test_answers_are_not_streamed(stream: object) -> None:
    with pytest.raises(UsageError, match="stream"):
        spec(params={"stream": stream})
