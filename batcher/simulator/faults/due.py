"""Faults: which one meets a request, by a marker in its text or by chance.

`[[fault=NAME]]` in a text acts whenever the text is seen, `[[fault=NAME*2]]` the first two
times; several markers in one text act one after the other. What a fault's answer looks like is
in `fault_replies`; faults of the connection and of the result are named here and acted out by
the server and by `answers`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Final

from batcher.simulator.config import SimulatorConfig
from batcher.simulator.faults.fault_replies import STATUS_REPLIES
from batcher.simulator.replies import invalid

CONNECTION_FAULTS: Final[Mapping[str, str]] = {
    "disconnect": "half of the answer, then the connection closes",
    "hang": "no answer, ever",
    "reset": "no answer: the connection is reset",
}

BODY_FAULTS: Final[Mapping[str, str]] = {
    "garbage": "200 with a body that is not JSON",
    "truncated": "200 with half of the body",
}

EMBEDDINGS_FAULTS: Final[Mapping[str, str]] = {
    "bad_base64": "200 with a vector that cannot be decoded",
    "duplicate_index": "200 with a vector twice, in the place of another",
    "inf": "200 with a vector that holds an infinity",
    "nan": "200 with a vector that holds no number",
    "other_model": "200 with all vectors half as long as they should be",
    "short": "200 without the last vector; of a chat, without a choice",
    "wrong_dimension": "200 with a vector that is longer than the others",
}
CHAT_FAULTS: Final[Mapping[str, str]] = {
    "content_filter": "200 stopped by the content filter",
    "invalid_json": "200 with an answer that breaks its schema",
    "length": "200 with an answer that was cut off",
    "no_content": "200 with a message that holds nothing",
    "refusal": "200 with a refusal",
    "short": EMBEDDINGS_FAULTS["short"],
}
RESULT_FAULTS: Final[Mapping[str, str]] = {**EMBEDDINGS_FAULTS, **CHAT_FAULTS}
"""200, with a result that is wrong; those of the other endpoint have no effect."""

STATUS_FAULTS: Final[Mapping[str, str]] = {
    name: fault.summary for name, fault in STATUS_REPLIES.items()
}
"""An answer other than 200, for the request as a whole."""

FAULTS: Final[Mapping[str, str]] = dict(
    sorted({**CONNECTION_FAULTS, **BODY_FAULTS, **RESULT_FAULTS, **STATUS_FAULTS}.items())
)
"""Every fault by its name, with a line about it."""

_OPENING = "[[fault="
_MARKER = re.compile(r"\[\[fault=([^\]]*)\]\]")


@dataclass(frozen=True, slots=True)
class DueFault:
    """A fault that is to act now, and the place among the texts of the one that asked for it."""

    name: str
    index: int = 0


class Faults:
    """Decides, and remembers how often it has seen each text that holds a marker."""

    __slots__ = ("_random", "_seen")

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._seen: dict[bytes, int] = {}

    def due(
        self, texts: Sequence[str], config: SimulatorConfig, effective: Collection[str]
    ) -> list[DueFault]:
        """Return the faults of a request, counting its texts as seen.

        At most one for each text. One that concerns the whole request comes alone; of several
        the first. `effective` names the result faults that the endpoint knows. Only where no
        marker acts is chance asked. Raises `Refused` for a marker that names no fault.
        """
        due = [
            DueFault(name, index)
            for index, text in enumerate(texts)
            if _OPENING in text and (name := self._marked(text)) is not None
        ]
        due = [f for f in due if f.name in effective or f.name not in RESULT_FAULTS]
        whole = [fault for fault in due if fault.name not in RESULT_FAULTS]
        if whole:
            return whole[:1]
        if not due and (name := self._by_chance(config)) is not None:
            return [DueFault(name)]
        return due

    def _marked(self, text: str) -> str | None:
        markers = [_read_marker(marker) for marker in _MARKER.findall(text)]
        key = blake2b(text.encode(), digest_size=16).digest()
        place = self._seen.get(key, 0)
        self._seen[key] = place + 1
        for name, times in markers:
            if times is None or place < times:
                return name
            place -= times
        return None

    def _by_chance(self, config: SimulatorConfig) -> str | None:
        rates = (
            ("500", config.error_rate),
            ("hang", config.hang_rate),
            ("disconnect", config.disconnect_rate),
            ("garbage", config.garbage_rate),
        )
        if not any(rate for _name, rate in rates):
            return None
        draw = self._random.random()
        for name, rate in rates:
            if draw < rate:
                return name
            draw -= rate
        return None


def _read_marker(marker: str) -> tuple[str, int | None]:
    """Return a marker's fault and how often it acts, None for always."""
    name, star, times = marker.partition("*")
    if name not in FAULTS or (star and not times.isdecimal()):
        raise invalid(
            f"Simulator: there is no fault {marker!r}; there are {', '.join(FAULTS)}",
            code="unknown_fault",
        )
    return name, int(times) if star else None
