"""The memory that answers share: never more than there is, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.engine.byte_room import PATIENCE_SECONDS, ByteRoom
from tests.engine.virtual_time import VirtualLoop, in_virtual_time

MOST = 100


@settings(deadline=None)
@given(
    answers=st.lists(
        st.tuples(
            st.lists(st.integers(1, 60), min_size=1, max_size=4),  # what it grows by
            st.floats(0.0, 3.0),  # seconds between
            st.one_of(st.none(), st.floats(0.0, 5.0)),  # when it is given up
            st.integers(0, 80),  # what its results keep
        ),
        max_size=12,
    )
)
def test_every_answer_ends_and_nothing_is_left(
    answers: list[tuple[list[int], float, float | None, int]],
) -> None:
    room = ByteRoom(MOST)
    held: dict[str, int] = {}

    async def read(name: str, steps: list[int], pause: float) -> None:
        for step in steps:
            await room.grow(name, step)
            held[name] = held.get(name, 0) + step
            # At most one answer may exceed what there is: the one that has some for the longest.
            longest = next(iter(held))
            others = sum(size for other, size in held.items() if other != longest)
            assert others <= MOST
            await asyncio.sleep(pause)

    async def one(
        name: str, steps: list[int], pause: float, patience: float | None, kept: int
    ) -> None:
        try:
            async with asyncio.timeout(patience):
                await read(name, steps, pause)
        except TimeoutError:
            kept = 0
        room.keep(kept)
        held.pop(name, None)
        room.release(name)
        await asyncio.sleep(0.25)
        room.wrote(kept)

    async def scenario() -> None:
        async with asyncio.timeout(10_000), asyncio.TaskGroup() as group:
            for number, (steps, pause, patience, kept) in enumerate(answers):
                group.create_task(one(f"r{number}", steps, pause, patience, kept))
        assert room.used_bytes == 0
        assert not room.is_full

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())


@in_virtual_time
async def test_answers_wait_for_the_disk_but_not_for_ever() -> None:
    """One at a time goes on without it; and at once where there is room again."""
    room = ByteRoom(MOST)
    room.keep(MOST)
    assert room.is_full
    clock = asyncio.get_running_loop()
    began = clock.time()
    await room.grow("r", 5)
    assert clock.time() - began == pytest.approx(PATIENCE_SECONDS)
    waiting = [asyncio.create_task(room.grow(name, 5)) for name in "ab"]
    await asyncio.sleep(3 * PATIENCE_SECONDS)
    assert not any(task.done() for task in waiting)
    room.wrote(MOST)
    await asyncio.gather(*waiting)
    assert room.used_bytes == 15
    for name in "ab":
        room.release(name)
    room.release("r")
    assert repr(room) == "<ByteRoom 0 of 100 bytes, 0 wait>"


async def test_what_is_given_back_early_lets_others_go_on() -> None:
    room = ByteRoom(100)
    await room.grow("a", 90)
    waiting = asyncio.create_task(room.grow("b", 50))
    await asyncio.sleep(0)
    assert not waiting.done()
    room.shrink("a", 60)
    await waiting
    assert room.used_bytes == 80
    room.release("a")
    room.release("b")
    room.shrink("a", 5)
    assert room.used_bytes == 0
