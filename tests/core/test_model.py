"""Which moves a job may make: every pair of state and event."""

from __future__ import annotations

import pytest

from batcher.core.errors import IllegalTransition
from batcher.core.model import TRANSITIONS, Doubt, JobEvent, JobState, Usage, advance

TABLE = """
            pause       resume   complete    retry   cancel
open        paused      open     complete    open    cancelled
paused      paused      open     -           open    cancelled
complete    -           -        complete    open    -
cancelled   -           -        -           -       -
"""
EVENTS, *ROWS = (line.split() for line in TABLE.strip().splitlines())
CASES = [(row[0], event, to) for row in ROWS for event, to in zip(EVENTS, row[1:], strict=True)]


@pytest.mark.parametrize(("state", "event", "to"), CASES)
def test_every_move(state: str, event: str, to: str) -> None:
    if to == "-":
        with pytest.raises(IllegalTransition, match=f"{state}: there is nothing to {event}"):
            advance(JobState(state), JobEvent(event))
    else:
        assert advance(JobState(state), JobEvent(event)) == to


def test_the_table_here_names_every_state_and_event() -> None:
    assert [row[0] for row in ROWS] == list(JobState)
    assert list(JobEvent) == EVENTS
    assert sum(to != "-" for _, _, to in CASES) == len(TRANSITIONS)


def test_usage_and_doubt_add_up() -> None:
    usage = Usage(requests=1, prompt_tokens=2, completion_tokens=3, cost_picousd=4)
    assert usage + usage == Usage(requests=2, prompt_tokens=4, completion_tokens=6, cost_picousd=8)
    doubt = Doubt(requests=1, pieces=2, tokens=3, cost_picousd=4)
    assert doubt + Doubt() == doubt
