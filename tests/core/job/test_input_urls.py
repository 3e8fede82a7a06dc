"""Which inputs are fetched, and how they are shown (`batcher.core.job.urls`)."""

from __future__ import annotations

import pytest

from batcher.core.errors import UsageError
from batcher.core.job.urls import check_web_url, scheme_of, shown_input, shown_url


@pytest.mark.parametrize("text", ["in.csv", "-", "/data/in.csv", "C:/in.csv", "a:b.csv", "x//y"])
def test_a_path_is_no_url(text: str) -> None:
    assert scheme_of(text) is None
    assert shown_input(text) == text


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("https://host/in.csv", "https"),
        ("HTTP://host:8000/a?b=c@d", "http"),
        ("s3://bucket/in.csv", "s3"),
        ("git+ssh://host/in.csv", "git+ssh"),
    ],
)
def test_a_url_has_a_scheme(text: str, scheme: str) -> None:
    assert scheme_of(text) == scheme
    assert shown_input(text + "?sig=1") == text.partition("?")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https:///in.csv", "names no host"),
        ("https://[::1/in.csv", "names no host"),
        ("https://me:pass@host/in.csv", "holds a user or a password"),
    ],
)
def test_a_web_url_without_a_host_is_refused_and_no_password_is_quoted(
    text: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as error:
        check_web_url(text)
    assert "pass@" not in str(error.value)


def test_a_url_is_shown_without_its_query() -> None:
    assert shown_url("https://host/in.csv?sig=1#x") == "https://host/in.csv"
    assert shown_url("https://host/in.csv#x?y") == "https://host/in.csv"
