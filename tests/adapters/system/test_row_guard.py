"""A row's limit of time: what overruns is ended, and nothing else ever is."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from batcher.adapters.system.row_guard import ThreadGuard
from batcher.ports import GuardStopped, NoGuard, RowGuard, RowOverran
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.process


@pytest.fixture
def guard() -> ThreadGuard:
    return ThreadGuard(most_seconds=0.1, longest_seconds=0.5, look_seconds=0.02)


def spin(seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "spun"


def test_a_call_s_result_and_errors_pass(guard: ThreadGuard) -> None:
    assert guard.call(len, "row") == 3
    with pytest.raises(ZeroDivisionError):
        guard.call(lambda row: 1 // row, 0)
    guard.stop()


def test_a_call_that_overruns_is_ended_and_the_next_is_not(guard: ThreadGuard) -> None:
    for _ in range(3):
        began = time.thread_time()
        with pytest.raises(RowOverran):
            guard.call(spin, 600.0)
        assert time.thread_time() - began < 60
        assert guard.call(str.upper, "row") == "ROW"
    guard.stop()


def test_a_call_that_waits_is_ended_by_the_clock(guard: ThreadGuard) -> None:
    def wait(row: float) -> None:
        for _ in range(int(row)):
            time.sleep(0.01)

    with pytest.raises(RowOverran):
        guard.call(wait, 60_000.0)
    guard.stop()


def test_a_call_cannot_swallow_its_end(guard: ThreadGuard) -> None:
    def stubborn(row: int) -> None:
        for _ in range(row):
            try:
                spin(600.0)
            except Exception:
                pass

    with pytest.raises(RowOverran):
        guard.call(stubborn, 3)
    guard.stop()


def test_many_quick_calls_between_overruns_are_never_touched() -> None:
    """The race: a call that ends just when it is to be ended."""
    guard = ThreadGuard(most_seconds=0.0, longest_seconds=30.0, look_seconds=0.0)
    ended = done = 0
    for row in range(3_000):
        try:
            assert guard.call(lambda n: sum(range(n % 997)), row) == sum(range(row % 997))
        except RowOverran:
            ended += 1
        done += 1  # an exception that came late would be raised here, or in a later row
    assert done == 3_000
    guard.stop()


@pytest.mark.parametrize("make", [NoGuard, ThreadGuard])
def test_what_is_stopped_begins_nothing_more(make: Callable[[], RowGuard]) -> None:
    guard = make()
    guard.call(str, 1)
    guard.stop()
    guard.stop()
    with pytest.raises(GuardStopped):
        guard.call(str, 1)


def test_another_thread_s_stop_ends_the_call() -> None:
    guard = ThreadGuard(look_seconds=0.02)
    outcome: list[type[BaseException]] = []
    begun = threading.Event()

    def begin_and_spin(seconds: float) -> None:
        begun.set()
        spin(seconds)

    def work() -> None:
        try:
            guard.call(begin_and_spin, 600.0)
        except GuardStopped as error:
            outcome.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(PATIENCE_SECONDS)
    guard.stop()
    thread.join(PATIENCE_SECONDS)
    assert outcome == [GuardStopped]


def test_the_watcher_ends_with_its_guard() -> None:
    def watchers() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "row-guard"}

    for stopped in (True, False):
        before = watchers()
        guard = ThreadGuard(look_seconds=0.02)
        guard.call(str, 1)
        (mine,) = watchers() - before
        if stopped:
            guard.stop()
        del guard  # and one that is forgotten, likewise
        mine.join(PATIENCE_SECONDS)
        assert not mine.is_alive()


def test_a_call_that_was_ended_leaves_the_interpreter_as_it_was() -> None:
    """An exception that is set and never raised has every thread look for it, for ever.

    With a tracer, CPython 3.11 then goes in circles: so that is how it shows.
    """
    program = f"""
import sys
from {ThreadGuard.__module__} import ThreadGuard
from batcher.ports.planning import RowOverran

guard = ThreadGuard(most_seconds=0.05, look_seconds=0.01)

def spin(row):
    while True:
        pass

def nothing():
    return None

for _ in range(3):
    try:
        guard.call(spin, None)
    except RowOverran:
        pass
sys.settrace(lambda *_: None)
nothing()
sys.settrace(None)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
