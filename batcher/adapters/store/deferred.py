"""A store whose file is made by the first verb that needs one: what never begins leaves nothing.

Two questions are asked before a job is opened, and a file that is not there answers both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.core.model import Job
    from batcher.ports import Store


class DeferredStore:
    """All verbs of :class:`batcher.ports.Store`; ``close`` makes nothing, either."""

    def __init__(self, open: Callable[[], Awaitable[Store]], is_there: Callable[[], bool]) -> None:
        """``open`` opens the store for good; ``is_there``: somebody else has made the file."""
        self._open = open
        self._is_there = is_there
        self._opened: Store | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"DeferredStore({self._opened!r})"

    def __getattr__(self, verb: str) -> Any:
        """A verb that opens the store first, where it is not open yet."""
        if verb.startswith("__"):
            raise AttributeError(verb)
        if self._opened is not None:
            return getattr(self._opened, verb)
        return self._streamed(verb) if verb in _STREAMS else self._awaited(verb)

    def _awaited(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            return await getattr(await self._store(), verb)(*args, **named)

        return call

    def _streamed(self, verb: str) -> Callable[..., AsyncIterator[Any]]:
        async def call(*args: Any, **named: Any) -> AsyncIterator[Any]:
            async for item in getattr(await self._store(), verb)(*args, **named):
                yield item

        return call

    async def newest(self, fingerprint: str, name: str | None) -> Job | None:
        """See :meth:`batcher.ports.JobOpenings.newest`."""
        if self._nothing_yet():
            return None
        return await (await self._store()).newest(fingerprint, name)

    async def last_complete(self, name: str) -> Job | None:
        """See :meth:`batcher.ports.JobOpenings.last_complete`."""
        return None if self._nothing_yet() else await (await self._store()).last_complete(name)

    def room_bytes(self) -> int | None:
        """See :meth:`batcher.ports.Store.room_bytes`."""
        return None if self._opened is None else self._opened.room_bytes()

    async def close(self) -> None:
        """See :meth:`batcher.ports.Store.close`."""
        if self._opened is not None:
            await self._opened.close()

    def _nothing_yet(self) -> bool:
        return self._opened is None and not self._is_there()

    async def _store(self) -> Store:
        async with self._opening:
            if self._opened is None:
                self._opened = await self._open()
        return self._opened


_STREAMS = frozenset({"shards", "outlines", "dead_letters"})
