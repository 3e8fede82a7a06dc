"""Events on standard error, one a line: as JSON for machines, or as text for people."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

import orjson

from batcher.core.text.inert import inert_json
from batcher.ports import LEVELS, Event, Fact, Level

LogFormat = Literal["json", "text"]


class EventLog:
    """Writes events that matter enough (:class:`batcher.ports.Log`)."""

    def __init__(
        self,
        level: Level = Level.INFO,
        format: LogFormat = "json",
        *,
        stream: TextIO | None = None,
    ) -> None:
        """``stream`` is standard error unless told otherwise."""
        self._level = level
        self._write_line = _json_line if format == "json" else _text_line
        self._stream = stream

    def __repr__(self) -> str:
        return f"<EventLog from {self._level.name.lower()} on>"

    def __call__(self, event: Event, /, **facts: Fact) -> None:
        """See :class:`batcher.ports.Log`."""
        level = LEVELS[event]
        if level < self._level:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        stream = self._stream or sys.stderr
        try:
            stream.write(self._write_line(time, level.name.lower(), event, facts) + "\n")
            stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it


def _json_line(time: str, level: str, event: Event, facts: dict[str, Fact]) -> str:
    told = {name: fact for name, fact in facts.items() if fact is not None}
    return inert_json(
        orjson.dumps({"time": time, "level": level, "event": str(event), **told}).decode()
    )


def _text_line(time: str, level: str, event: Event, facts: dict[str, Fact]) -> str:
    words = [f"{name}={_word(fact)}" for name, fact in facts.items() if fact is not None]
    return " ".join([time, f"{level:<7}", f"{event:<16}", *words]).rstrip()


def _word(fact: Fact) -> str:
    text = str(fact)
    if text and text.isprintable() and " " not in text:
        return text
    return inert_json(orjson.dumps(text).decode())


class LibraryHandler(logging.Handler):
    """Tells of what libraries log as an event, without their words: these may quote anything."""

    def __init__(self, log: EventLog) -> None:
        """``log`` is where the events go."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        error = record.exc_info[0] if record.exc_info else None
        self._log(
            Event.LIBRARY_WARNED,
            library=record.name,
            where=f"{Path(record.pathname).name}:{record.lineno}",
            error=None if error is None else error.__name__,
        )
