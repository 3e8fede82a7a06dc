"""What a shard carries: the outline of its plan, its prompts, its columns and its bills.

The store keeps these bytes without looking inside. JSON (orjson) under zstandard: compact, quick to
read, and readable by anything in ten years. The outline says its version: plans of the first one
are a single blob, which holds the prompts and the contents, too.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson
import zstandard

from batcher.core.errors import DamagedStore
from batcher.core.job.fingerprint import CONTENT_BYTES, id_hashes
from batcher.core.model import Bill, RowId, id_texts
from batcher.core.row.asked import Asked
from batcher.core.text import exactjson
from batcher.engine.shards.arrow_records import ArrowRecords, decode_arrow, encode_arrow, is_arrow
from batcher.ports import EncodedPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """A planned shard without its prompts.

    Piece ``i`` belongs to row ``first_row + piece_rows[i]``.
    ``ids`` has one entry a row, or is None where the row numbers are the ids. ``starts`` is the
    first piece of each request; ``chunks`` holds ``(chunk, start, end)`` in characters for each
    piece, or is None where every row is one piece and no record says how long its text was. Rows
    without pieces are dead letters of the planning. ``contents`` are the rows' content hashes
    (:func:`batcher.core.job.fingerprint.content`), one after the other, zeros for a row that could
    not be rendered; None in plans of versions that kept none, and where they were not asked for.
    """

    first_row: int
    rows: int
    ids: Sequence[RowId | None] | None
    piece_rows: Sequence[int]
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


def encode_plan(plan: ShardPlan, asked: Asked) -> EncodedPlan:
    """The plan as bytes; ``asked`` is what its pieces ask for.

    Where that is more than texts the version says so, so that no earlier release sends less.
    """
    piece_rows = None if plan.piece_rows == list(range(plan.rows)) else plan.piece_rows
    outline = {
        "version": 3 if asked.has_more else 2,
        "first_row": plan.first_row,
        "rows": plan.rows,
        "ids": plan.ids,
        "piece_rows": piece_rows,
        "tokens": plan.tokens,
        "starts": plan.starts,
        "chunks": plan.chunks,
    }
    return EncodedPlan(
        outline=_compress(outline),
        prompts=_compress(asked.to_json()),
        contents=plan.contents,
        ids=None if plan.ids is None else _id_hashes(plan.ids),
    )


def _id_hashes(ids: Sequence[RowId | None]) -> bytes:
    """Those of all rows; a row whose id could not be read has that of an empty one."""
    return id_hashes(id_texts(["" if row_id is None else row_id for row_id in ids]))


def decode_plan(outline: bytes, contents: bytes | None = None) -> ShardPlan:
    """The plan that :func:`encode_plan` was given, with its ``contents`` where they are at hand."""
    with sound("a plan"):
        plain = _read_json(zstandard.decompress(outline))
        match plain.pop("version", 1):
            case 1:
                _read_version_1(plain)
            case 2 | 3:
                plain["contents"] = contents
            case _:
                raise ValueError("a plan of a later version")
        if plain["chunks"] is not None:
            plain["chunks"] = [tuple(chunk) for chunk in plain["chunks"]]
        if plain["piece_rows"] in (None, list(range(plain["rows"]))):
            plain["piece_rows"] = range(plain["rows"])
        return ShardPlan(**plain)


def _read_version_1(plain: dict[str, Any]) -> None:
    """Make the outline of the one blob that a plan was: how long texts are stood in the texts."""
    prompts = plain.pop("prompts")
    if plain["chunks"] is None:
        plain["chunks"] = [(0, 0, len(prompt[-1])) for prompt in prompts]
    if (contents := plain.get("contents")) is not None:
        plain["contents"] = b64decode(contents)


def decode_asked(outline: bytes, prompts: bytes | None) -> Asked:
    """What a plan's pieces ask for; ``prompts`` is None where its outline still holds them."""
    with sound("the texts of requests"):
        if prompts is None:
            return Asked.from_json(_read_json(zstandard.decompress(outline))["prompts"])
        return Asked.from_json(_read_json(zstandard.decompress(prompts)))


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
