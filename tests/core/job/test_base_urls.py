"""What can be a base URL, and what is said of what cannot."""

from __future__ import annotations

import pytest

from batcher.core.errors import UsageError
from batcher.core.job.urls import check_base_url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://localhost:8000/v1",
        "http://localhost",
        "HTTPS://Gateway.example:443/a/b/",
        "http://127.0.0.1:1/v1",
        "http://[::1]:8000/v1",
        "http://[::1]/v1",
        "https://bücher.example/v1",
        "https://gateway.example/team@search/v1",
    ],
)
def test_a_base_url_has_a_scheme_a_host_and_perhaps_a_port(url: str) -> None:
    check_base_url(url)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "does not begin with http:// or https://"),
        ("api.openai.com/v1", "does not begin with http:// or https://"),
        ("localhost:8000/v1", "does not begin with http:// or https://"),
        ("ftp://localhost/v1", "does not begin with http:// or https://"),
        ("https:/api.openai.com/v1", "does not begin with http:// or https://"),
        (" https://api.openai.com/v1", "does not begin with http:// or https://"),
        ("https://api.openai.com/v1 ", "contains a blank or a control character"),
        ("https://api openai.com/v1", "contains a blank or a control character"),
        ("https://api.openai.com/v1\n", "contains a blank or a control character"),
        ("https://api.openai.com/\x00v1", "contains a blank or a control character"),
        ("https://", "names no host"),
        ("https:///v1", "names no host"),
        ("https://:8000/v1", "names no host"),
        ("http://localhost:/v1", "has no port after the colon"),
        ("http://[::1]:/v1", "has no port after the colon"),
        ("http://localhost:0/v1", "has no port after the colon"),
        ("http://localhost:port/v1", "has an invalid host or port"),
        ("http://localhost:65536/v1", "has an invalid host or port"),
        ("http://localhost:8000:1/v1", "has an invalid host or port"),
        ("http://[::1/v1", "has an invalid host or port"),
    ],
)
def test_what_is_wrong_is_said_with_an_example(url: str, fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_base_url(url)
    assert str(caught.value) == (
        f"--base-url {url!r} {fault}: "
        "write it like https://api.openai.com/v1 or http://localhost:8000/v1"
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://me:sk-secret@host/v1", "holds a user or a password"),
        ("https://sk-secret@host/v1", "holds a user or a password"),
        ("https://host/v1?key=sk-secret", "ends before any [?] or #"),
        ("https://host/v1#sk-secret", "ends before any [?] or #"),
    ],
)
def test_a_url_that_may_hold_a_credential_is_refused_and_not_quoted(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        check_base_url(url)
    assert "sk-secret" not in str(caught.value)
