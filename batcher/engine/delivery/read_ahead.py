"""Reading ahead: what comes next is read while what came before is being used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

Value = TypeVar("Value")


async def ahead(values: AsyncGenerator[Value, None], most: int) -> AsyncGenerator[Value, None]:
    """The same values, of which up to ``most`` are there before they are asked for.

    What reading them raises is raised after the last. To be closed by whoever does not want all.
    """
    read: asyncio.Queue[Value | None] = asyncio.Queue()
    room = asyncio.Semaphore(most)

    async def fill() -> None:
        try:
            async with aclosing(values):
                await room.acquire()
                async for value in values:
                    read.put_nowait(value)
                    await room.acquire()
        finally:
            read.put_nowait(None)

    filling = asyncio.create_task(fill(), name="reading ahead")
    try:
        while (value := await read.get()) is not None:
            room.release()
            yield value
        await filling
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
