"""JSONL: one JSON object a line, read by orjson.

Blank lines are skipped. NaN and Infinity are no JSON. Of two equal keys the last wins. Lines with
what orjson refuses or would round are read once more, exactly (:mod:`json_lines`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import orjson

from batcher.adapters.sources.batch import BATCH_ROWS, Request
from batcher.adapters.sources.faults import Fault
from batcher.adapters.sources.raw import OpenRaw, RawPass
from batcher.adapters.sources.readers.json_lines import ImpossibleLine, may_be_rounded, read_exactly
from batcher.adapters.sources.readers.lines import whole_lines
from batcher.core.errors import InputError

MAX_COLUMNS: Final = 1 << 16
_EXACT_FLOAT: Final = 2.0**63


class JsonlBatch:
    """Rows as JSON objects; ``raw`` has the blank lines too."""

    arrow = None

    def __init__(self, *, first: int, raw: list[bytes], line: int) -> None:
        """``line`` is the physical line of the first of ``raw``."""
        self.first = first
        self.faults: dict[int, Fault] = {}
        self.texts = list(filter(bytes.strip, raw))
        self.objects: list[dict[str, Any]] = []
        self._raw = raw
        self._line = line

    def __len__(self) -> int:
        return len(self.texts)

    def values(self, column: str) -> list[Any]:
        """See :class:`batcher.adapters.sources.batch.Batch`."""
        return [record.get(column) for record in self.objects]

    def records(self) -> list[dict[str, Any]]:
        """See :class:`batcher.adapters.sources.batch.Batch`."""
        return self.objects

    def lines(self) -> list[int]:
        """See :class:`batcher.adapters.sources.batch.Batch`."""
        return [self._line + i for i, text in enumerate(self._raw) if text.strip()]


class JsonlReader:
    """One pass over a JSONL file."""

    arrow_schema = None

    def __init__(self, raw: RawPass, open_raw: OpenRaw, request: Request) -> None:
        """``columns`` grows with the keys seen."""
        self._raw = raw
        self._request = request
        self._keys: dict[str, None] = {}
        self._get = itemgetter(*request.columns) if request.columns else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The union of the keys so far, in order of first appearance."""
        return tuple(self._keys)

    def batches(self) -> Iterator[JsonlBatch]:
        """See :class:`batcher.adapters.sources.batch.Reader`."""
        source = self._request.source
        number = 0
        for first_line, block in whole_lines(self._blocks(), source=source, bare_cr=False):
            raw = block.split(b"\n")
            if not raw[-1]:
                raw.pop()
            for offset in range(0, len(raw), BATCH_ROWS):
                batch = JsonlBatch(
                    first=number, raw=raw[offset : offset + BATCH_ROWS], line=first_line + offset
                )
                number += len(batch)
                if len(batch) and number > self._request.start:
                    self._parse(batch)
                    yield batch

    def _blocks(self) -> Iterator[bytes]:
        """The text, an object a line."""
        return self._raw.blocks()

    def _parse(self, batch: JsonlBatch) -> None:
        try:
            objects = list(map(orjson.loads, batch.texts))
        except orjson.JSONDecodeError:
            objects = [self._parse_one(batch, i) for i in range(len(batch))]
        if set(map(type, objects)) != {dict}:
            for index, value in enumerate(objects):
                if not isinstance(value, dict):
                    batch.faults.setdefault(index, _not_an_object(value))
                    objects[index] = {}
        batch.objects = objects
        self._keep_digits(batch)
        self._keys.update(dict.fromkeys(chain.from_iterable(objects)))
        if len(self._keys) > MAX_COLUMNS:
            raise InputError(
                f"more than {MAX_COLUMNS:,} different keys: put keys that are data into an "
                "object of their own",
                source=self._request.source,
            )
        self._find_missing(batch)

    def _parse_one(self, batch: JsonlBatch, index: int) -> Any:
        text = batch.texts[index]
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return self._read_exactly(batch, index)

    def _read_exactly(self, batch: JsonlBatch, index: int) -> Any:
        try:
            return read_exactly(batch.texts[index])
        except ImpossibleLine as exc:
            batch.faults[index] = exc.fault
            return {}

    def _keep_digits(self, batch: JsonlBatch) -> None:
        """Where orjson made a float of a longer integer, read the line again without."""
        objects = batch.objects
        kinds = set(map(type, chain.from_iterable(map(dict.values, objects))))
        if dict in kinds or list in kinds:
            for index in may_be_rounded(batch.texts):
                if index not in batch.faults:
                    objects[index] = self._read_exactly(batch, index)
        if float not in kinds:
            return
        for index, record in enumerate(objects):
            for value in record.values():
                if type(value) is float and abs(value) >= _EXACT_FLOAT:
                    objects[index] = self._read_exactly(batch, index)
                    break

    def _find_missing(self, batch: JsonlBatch) -> None:
        if self._get is None:
            return
        try:
            for _ in map(self._get, batch.objects):
                pass
        except KeyError:
            for index, record in enumerate(batch.objects):
                missing = [name for name in self._request.columns if name not in record]
                if missing and index not in batch.faults:
                    batch.faults[index] = Fault(
                        "missing_column", f"the row has no key {missing[0]!r}", tuple(record)
                    )


def _not_an_object(value: Any) -> Fault:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return Fault(
        "not_an_object", f"the line is {names.get(type(value), 'a number')}, not an object"
    )
