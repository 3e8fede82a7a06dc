"""A shard's bytes: an outline without its prompts, and plans of the first version, in one blob."""

from __future__ import annotations

from base64 import b64encode
from zlib import crc32

import orjson
import pytest
import zstandard

from batcher.core.errors import DamagedStore
from batcher.core.job.fingerprint import CONTENT_BYTES
from batcher.core.row.asked import Asked
from batcher.engine.shards.payload import ShardPlan, decode_asked, decode_plan, encode_plan

CONTENTS = bytes(range(1, CONTENT_BYTES + 1)) + bytes(CONTENT_BYTES)
PROMPTS = [("a system text", "a text")]
TEXTS = Asked(PROMPTS)


def make_plan(contents: bytes | None = None) -> ShardPlan:
    return ShardPlan(
        first_row=5,
        rows=2,
        ids=["a", None],
        piece_rows=[0],
        tokens=[1],
        starts=[0],
        chunks=None,
        contents=contents,
    )


def version_1(**more: object) -> bytes:
    """A plan as it was kept at first."""
    plain = {"first_row": 5, "rows": 2, "ids": ["a", None], "piece_rows": [0], "tokens": [1]}
    plain |= {"prompts": PROMPTS, "starts": [0], "chunks": None, **more}
    return zstandard.compress(orjson.dumps(plain))


def test_a_plan_is_what_it_was_with_its_contents_beside_it() -> None:
    encoded = encode_plan(make_plan(CONTENTS), TEXTS)
    plan = decode_plan(encoded.outline, encoded.contents)
    assert plan == make_plan(CONTENTS)
    assert [plan.content_of(row) for row in (0, 1)] == [CONTENTS[:CONTENT_BYTES], None]
    assert decode_plan(encoded.outline) == make_plan(None)


def test_an_outline_holds_no_prompt() -> None:
    encoded = encode_plan(make_plan(), TEXTS)
    assert b"text" not in zstandard.decompress(encoded.outline)
    assert decode_asked(encoded.outline, encoded.prompts) == TEXTS


def test_what_rows_have_besides_texts_stands_with_their_texts() -> None:
    asked = Asked(PROMPTS, [{"temperature": 0.5, "seed": 10**30}])
    encoded = encode_plan(make_plan(), asked)
    assert decode_asked(encoded.outline, encoded.prompts) == asked
    assert decode_plan(encoded.outline) == make_plan()
    assert b"temperature" not in zstandard.decompress(encoded.outline)


def test_only_a_plan_with_more_than_texts_is_one_that_earlier_releases_do_not_read() -> None:
    versions = [
        orjson.loads(zstandard.decompress(encode_plan(make_plan(), asked).outline))["version"]
        for asked in (TEXTS, Asked(PROMPTS, [{"a": 1}]))
    ]
    assert versions == [2, 3]


def test_rows_are_found_by_the_hashes_of_their_ids_as_text() -> None:
    plan = make_plan()
    ids = encode_plan(plan, TEXTS).ids
    assert ids is not None
    assert ids[:4] == crc32(b"a").to_bytes(4, "big")


def test_a_plan_of_the_first_version_is_read_from_its_one_blob() -> None:
    old = version_1(contents=b64encode(CONTENTS).decode())
    plan = decode_plan(old)
    assert plan.contents == CONTENTS
    assert plan.chunks == [(0, 0, len("a text"))]
    assert (plan.ids, plan.piece_rows, plan.tokens) == (["a", None], [0], [1])
    assert decode_asked(old, None) == TEXTS


def test_a_plan_of_a_version_without_contents_is_read() -> None:
    assert decode_plan(version_1()).content_of(0) is None


def test_a_plan_of_a_later_version_is_not_guessed_at() -> None:
    plain = orjson.loads(zstandard.decompress(encode_plan(make_plan(), TEXTS).outline))
    with pytest.raises(DamagedStore):
        decode_plan(zstandard.compress(orjson.dumps({**plain, "version": 4})))
