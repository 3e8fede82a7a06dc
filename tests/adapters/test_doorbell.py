"""The address of Redis, as users write it."""

from __future__ import annotations

import pytest

from batcher.adapters.doorbell import check_redis_url
from batcher.core.errors import UsageError


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:s3cret%2F@localhost:6379/2",
        "rediss://me:s3cret@[::1]:6380/0",
    ],
)
def test_an_address_of_redis(url: str) -> None:
    check_redis_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3/cret@localhost:6379",
        "redis://:s3#cret@localhost:6379",
        "redis://localhost:s3cret",
        "redis://localhost:6379/s3cret",
        "redis://",
        "localhost:6379",
        "http://s3cret",
        "unix:///s3cret.sock",
        "redis://[::1",
    ],
)
def test_an_address_that_cannot_be_read_is_the_users_mistake_and_is_not_quoted(url: str) -> None:
    with pytest.raises(UsageError, match="BATCHER_REDIS_URL") as caught:
        check_redis_url(url)
    assert "s3" not in str(caught.value)
