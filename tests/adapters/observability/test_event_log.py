"""Events as lines: levels, both formats, and libraries without their words."""

from __future__ import annotations

import json
import logging
from io import StringIO

import pytest

from batcher.adapters.observability.event_log import EventLog, LibraryHandler, LogFormat
from batcher.ports import LEVELS, Event, Level


def lines(log_to: StringIO) -> list[str]:
    return log_to.getvalue().splitlines()


def test_an_event_is_one_line_of_json_with_its_level_and_without_what_is_unknown() -> None:
    written = StringIO()
    EventLog(stream=written)(Event.JOB_LEFT, job="j1", status="complete", reason=None)
    (line,) = lines(written)
    record = json.loads(line)
    assert record.pop("time").endswith("Z")
    assert record == {"level": "info", "event": "job.left", "job": "j1", "status": "complete"}


def test_text_is_for_people_and_still_one_line() -> None:
    written = StringIO()
    log = EventLog(format="text", stream=written)
    log(Event.JOB_REFUSED, job="j1", reason="two words\nand a line", status=None)
    (line,) = lines(written)
    assert line.split(" ", 1)[1] == (
        'warning job.refused      job=j1 reason="two words\\nand a line"'
    )


@pytest.mark.parametrize("level", Level)
def test_what_matters_less_than_the_level_is_not_written(level: Level) -> None:
    written = StringIO()
    log = EventLog(level, stream=written)
    for event in Event:
        log(event)
    told = {json.loads(line)["event"] for line in lines(written)}
    assert told == {event for event in Event if LEVELS[event] >= level}
    assert told


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_log_that_nobody_reads_any_more_is_no_reason_to_stop(format: LogFormat) -> None:
    closed = StringIO()
    closed.close()
    EventLog(format=format, stream=closed)(Event.WORKER_STARTED)


def test_what_a_library_says_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    library = logging.getLogger("some.library")
    monkeypatch.setattr(library, "handlers", [LibraryHandler(EventLog(stream=written))])
    library.info("canary one")
    try:
        raise KeyError("canary two")
    except KeyError:
        library.exception("canary three: %s", "canary four")
    (line,) = lines(written)
    record = json.loads(line)
    assert (record["library"], record["error"]) == ("some.library", "KeyError")
    assert record["where"].startswith("test_event_log.py:")
    assert "canary" not in line
