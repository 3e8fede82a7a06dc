"""What a shard carries: its rows, pieces and requests, as one compressed blob, and its bills.

The store keeps these bytes without looking inside. JSON (orjson) under zstandard: compact, quick to
read, and readable by anything in ten years.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson
import zstandard

from batcher.core.errors import DamagedStore
from batcher.core.job.fingerprint import CONTENT_BYTES
from batcher.core.model import Bill, Prompt, RowId
from batcher.core.text import exactjson
from batcher.engine.shards.arrow_records import ArrowRecords, decode_arrow, encode_arrow, is_arrow


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """A planned shard. Piece ``i`` belongs to row ``first_row + piece_rows[i]``.

    ``ids`` has one entry a row, or is None where the row numbers are the ids. ``starts`` is the
    first piece of each request; ``chunks`` holds ``(chunk, start, end)`` in characters for each
    piece, or is None where every row is one piece. Rows without pieces are dead letters of the
    planning. ``contents`` are the rows' content hashes
    (:func:`batcher.core.job.fingerprint.content`), one after the other, zeros for a row that could
    not be rendered; None in plans of versions that kept none.
    """

    first_row: int
    rows: int
    ids: Sequence[RowId | None] | None
    piece_rows: Sequence[int]
    prompts: Sequence[Prompt] = field(repr=False)
    tokens: Sequence[int]
    starts: Sequence[int]
    chunks: Sequence[tuple[int, int, int]] | None
    contents: bytes | None = field(default=None, repr=False)

    def id_of(self, row: int) -> RowId | None:
        """The id of the row with this number within the shard; None where it could not be read."""
        return self.first_row + row if self.ids is None else self.ids[row]

    def chunk_of(self, piece: int) -> int:
        """The number of the piece within its row."""
        return 0 if self.chunks is None else self.chunks[piece][0]

    def content_of(self, row: int) -> bytes | None:
        """The content hash of the row; None where it has none."""
        if self.contents is None:
            return None
        hashed = self.contents[row * CONTENT_BYTES : (row + 1) * CONTENT_BYTES]
        return hashed if any(hashed) else None


def encode_plan(plan: ShardPlan) -> bytes:
    """The plan as bytes."""
    return _compress(
        {
            "first_row": plan.first_row,
            "rows": plan.rows,
            "ids": plan.ids,
            "piece_rows": plan.piece_rows,
            "prompts": plan.prompts,
            "tokens": plan.tokens,
            "starts": plan.starts,
            "chunks": plan.chunks,
            "contents": None if plan.contents is None else b64encode(plan.contents).decode(),
        }
    )


def decode_plan(payload: bytes) -> ShardPlan:
    """The plan that :func:`encode_plan` was given."""
    with sound("a plan"):
        return _decoded_plan(payload)


def _decoded_plan(payload: bytes) -> ShardPlan:
    plain = _read_json(zstandard.decompress(payload))
    plain["prompts"] = [tuple(prompt) for prompt in plain["prompts"]]
    if plain["chunks"] is not None:
        plain["chunks"] = [tuple(chunk) for chunk in plain["chunks"]]
    if plain["piece_rows"] == list(range(plain["rows"])):
        plain["piece_rows"] = range(plain["rows"])
    if (contents := plain.get("contents")) is not None:
        plain["contents"] = b64decode(contents)
    return ShardPlan(**plain)


class Keep(Enum):
    """What is kept of the input's columns."""

    NOTHING = auto()
    PLAIN = auto()
    ARROW = auto()


def encode_columns(
    keep: Keep,
    records: Sequence[Mapping[str, Any] | None],
    arrows: Sequence[tuple[Any, int] | None],
) -> bytes | None:
    """The columns of the same rows as they are kept: their plain ``records``, or as Arrow."""
    if keep is Keep.NOTHING:
        return None
    return encode_arrow(arrows) if keep is Keep.ARROW and any(arrows) else encode_records(records)


def encode_records(records: Sequence[Mapping[str, Any] | None]) -> bytes:
    """The input's columns, one object a row (None for a row that could not be read)."""
    return _compress(records)


def decode_records(columns: bytes) -> Sequence[Mapping[str, Any] | None] | ArrowRecords:
    """The records that :func:`encode_records` or ``encode_arrow`` was given."""
    with sound("the input's columns"):
        content = zstandard.decompress(columns)
        if is_arrow(content):
            return decode_arrow(content)
        records: list[Mapping[str, Any] | None] = _read_json(content)
    return records


def encode_bills(bills: Sequence[Bill]) -> bytes:
    """What some requests cost, shared out to their pieces."""
    return _compress(
        [
            [bill.pieces, bill.prompt_tokens, bill.completion_tokens, bill.costs, bill.model]
            for bill in bills
        ]
    )


def decode_bills(blob: bytes) -> list[Bill]:
    """The bills that :func:`encode_bills` was given."""
    with sound("what requests cost"):
        return [
            Bill(
                pieces=tuple(pieces),
                prompt_tokens=prompt,
                completion_tokens=completion,
                costs=costs,
                model=model,
            )
            for pieces, prompt, completion, costs, model in orjson.loads(zstandard.decompress(blob))
        ]


@contextmanager
def sound(what: str) -> Iterator[None]:
    """Raise :class:`DamagedStore` for whatever bytes raise that are not what was written."""
    try:
        yield
    except (ValueError, LookupError, TypeError, MemoryError, zstandard.ZstdError) as exc:
        raise DamagedStore(
            f"the database is damaged: {what} in it cannot be read ({type(exc).__name__}); restore "
            "a copy of it"
        ) from exc


def _compress(plain: object) -> bytes:
    """As JSON; what orjson cannot write exactly is such that :func:`_read_json` knows it."""
    try:
        text = orjson.dumps(plain)
    except orjson.JSONEncodeError:
        text = exactjson.marked(plain).encode()
    return zstandard.compress(text, 1)


def _read_json(text: bytes) -> Any:
    return exactjson.loads(text) if exactjson.is_marked(text) else orjson.loads(text)
