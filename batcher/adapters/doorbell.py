"""arq as a doorbell: a job id in a queue, and nothing else.

The values here are what workers and those who ring must agree on. A ring that is still waiting or
being answered swallows the next ones; no result is kept, which would swallow them, too.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from batcher.core.errors import UsageError

if TYPE_CHECKING:
    from arq.connections import ArqRedis

QUEUE = "batcher:queue"
DRAIN = "drain"
_RING_SECONDS = 2.0


def to_bytes(value: dict[str, Any]) -> bytes:
    """What arq puts into the queue: JSON, which nothing can be smuggled in by."""
    return json.dumps(value, default=lambda other: type(other).__name__).encode()


def from_bytes(data: bytes) -> dict[str, Any]:
    """The same back."""
    value: dict[str, Any] = json.loads(data)
    return value


async def ring(redis: ArqRedis, job_id: str) -> None:
    """Put one job id into the queue.

    Raises:
        RedisError: Redis cannot be reached.
    """
    await redis.enqueue_job(DRAIN, job_id, _job_id=f"drain:{job_id}", _queue_name=QUEUE)


class ArqDoorbell:
    """See :class:`batcher.ports.Doorbell`."""

    def __init__(self, redis_url: str) -> None:
        """Connects when it is first rung."""
        self._redis_url = redis_url
        self._redis: ArqRedis | None = None

    def __repr__(self) -> str:
        return "<ArqDoorbell>"

    async def ring(self, job_id: str) -> None:
        """See :meth:`batcher.ports.Doorbell.ring`."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_RING_SECONDS):
                if self._redis is None:
                    self._redis = await connect(self._redis_url)
                await ring(self._redis, job_id)

    async def close(self) -> None:
        """Let go of the connection; idempotent."""
        redis, self._redis = self._redis, None
        if redis is not None:
            with suppress(RedisError, OSError):
                await redis.aclose(close_connection_pool=True)


def check_redis_url(redis_url: str) -> None:
    """See to it that an address can be read.

    Raises:
        UsageError: it cannot; the message has nothing of it, for what stands where is not known.
    """
    try:
        parts = urlsplit(redis_url)
        sound = parts.scheme in ("redis", "rediss") and parts.port != 0 and bool(parts.hostname)
        int(parts.path.strip("/") or 0)
    except ValueError:
        sound = False
    if not sound:
        raise UsageError(
            "--redis or BATCHER_REDIS_URL is redis://[:PASSWORD@]HOST[:PORT][/NUMBER], rediss:// "
            "for TLS; of a password /, # and @ are written %2F, %23 and %40"
        )


async def answers(redis_url: str) -> bool:
    """Whether a Redis is there, over a connection of its own: one that hangs does not answer."""
    from redis.asyncio import Redis

    redis = Redis.from_url(
        redis_url, socket_timeout=_RING_SECONDS, socket_connect_timeout=_RING_SECONDS
    )
    with suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(_RING_SECONDS), redis:
            return bool(await redis.ping())
    return False


async def connect(redis_url: str) -> ArqRedis:
    """A pool of connections as arq wants it.

    Raises:
        RedisError: Redis cannot be reached.
    """
    from arq.connections import RedisSettings, create_pool  # takes a while to import

    settings = RedisSettings.from_dsn(redis_url)
    settings.conn_retries = 0
    settings.conn_timeout = 2
    return await create_pool(
        settings,
        job_serializer=to_bytes,
        job_deserializer=from_bytes,
        default_queue_name=QUEUE,
    )
