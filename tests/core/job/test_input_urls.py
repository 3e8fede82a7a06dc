"""Which inputs are fetched, and how they are shown (`batcher.core.job.urls`)."""

from __future__ import annotations

import pytest

from batcher.core.errors import UsageError
from batcher.core.job.urls import is_url, shown_url


@pytest.mark.parametrize("text", ["in.csv", "-", "/data/in.csv", "C:/in.csv", "a:b.csv", "x//y"])
def test_a_path_is_no_url(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize("text", ["https://host/in.csv", "HTTP://host:8000/a?b=c@d"])
def test_what_is_at_a_web_server_is_fetched(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file:///etc/passwd", "file:// inputs cannot be fetched"),
        ("s3://bucket/in.csv", "s3:// inputs cannot be fetched"),
        ("ftp://host/in.csv", "ftp:// inputs cannot be fetched"),
        ("https:///in.csv", "names no host"),
        ("https://[::1/in.csv", "names no host"),
        ("https://me:pass@host/in.csv", "holds a user or a password"),
    ],
)
def test_other_urls_are_refused_and_no_password_is_quoted(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        is_url(text)
    assert "pass@" not in str(error.value)


def test_a_url_is_shown_without_its_query() -> None:
    assert shown_url("https://host/in.csv?sig=1#x") == "https://host/in.csv"
    assert shown_url("https://host/in.csv#x?y") == "https://host/in.csv"
