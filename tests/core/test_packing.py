"""Every row packed once and in order, no request over its budget, and hardly one too many."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.limits import RequestLimits, ShardLimits
from batcher.core.packing import ShardPacker


@dataclass
class Packed:
    """All shards of some rows; of each shard the pieces, as (row, tokens), and the starts."""

    shards: list[tuple[list[tuple[int, int]], list[int]]] = field(default_factory=list)

    @property
    def requests(self) -> list[list[tuple[int, int]]]:
        return [
            pieces[start:end]
            for pieces, starts in self.shards
            for start, end in pairwise([*starts, len(pieces)])
        ]


def pack(rows: list[list[int]], limits: RequestLimits, shard: ShardLimits | None = None) -> Packed:
    packed = Packed()
    packer = ShardPacker(limits=limits, shard=shard or ShardLimits())
    pieces: list[tuple[int, int]] = []
    for number, tokens in enumerate(rows):
        if packer.rows and not packer.takes(tokens):
            packed.shards.append((pieces, packer.starts))
            packer = ShardPacker(limits=limits, shard=shard or ShardLimits())
            pieces = []
        packer.add(tokens, characters=4 * sum(tokens))
        pieces += [(number, count) for count in tokens]
    packed.shards.append((pieces, packer.starts))
    return packed


LIMITS = RequestLimits(max_inputs=7, max_request_tokens=100, max_input_tokens=40)
SHARD = ShardLimits(max_requests=3, max_pieces=20, max_characters=2_000)
ROWS = st.lists(st.lists(st.integers(1, 40), max_size=6), max_size=80)


@given(ROWS)
def test_every_piece_is_packed_once_and_in_order(rows: list[list[int]]) -> None:
    packed = pack(rows, LIMITS, SHARD)
    expected = [(number, count) for number, row in enumerate(rows) for count in row]
    assert [piece for pieces, _ in packed.shards for piece in pieces] == expected
    assert [piece for request in packed.requests for piece in request] == expected


@given(ROWS)
def test_no_request_is_over_a_limit_or_empty(rows: list[list[int]]) -> None:
    for request in pack(rows, LIMITS, SHARD).requests:
        assert 1 <= len(request) <= LIMITS.max_inputs
        assert sum(count for _, count in request) <= LIMITS.max_request_tokens


@given(ROWS)
def test_rows_never_leave_their_shard_and_shards_stay_small(rows: list[list[int]]) -> None:
    packed = pack(rows, LIMITS, SHARD)
    seen: set[int] = set()
    for pieces, starts in packed.shards:
        numbers = {number for number, _ in pieces}
        assert not numbers & seen
        seen |= numbers
        largest = max((len(row) for row in rows), default=0)
        assert len(starts) <= SHARD.max_requests + largest
        assert len(pieces) <= SHARD.max_pieces + largest + LIMITS.max_inputs


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("longest", [10, 200, 8192])
def test_the_number_of_requests_is_within_two_percent_of_the_least(seed: int, longest: int) -> None:
    random = Random(seed)
    limits = RequestLimits(max_inputs=2048, max_request_tokens=300_000, max_input_tokens=8192)
    rows = [[random.randint(1, longest)] for _ in range(60_000)]
    packed = pack(rows, limits)
    least = max(
        -(-len(rows) // limits.max_inputs),
        -(-sum(count for (count,) in rows) // limits.max_request_tokens),
    )
    assert len(packed.requests) <= 1.02 * least + 1


def test_one_piece_above_the_budget_is_alone() -> None:
    packed = pack([[10], [500], [10]], LIMITS)
    assert [[count for _, count in request] for request in packed.requests] == [[10], [500], [10]]


def test_rows_that_send_nothing_take_no_request() -> None:
    packed = pack([[], [], []], LIMITS)
    assert packed.requests == []
    assert len(packed.shards) == 1


def test_rows_that_send_nothing_do_not_grow_a_shard_without_end() -> None:
    packed = pack([[1], *([[]] * 1000)], LIMITS, SHARD)
    assert len(packed.shards) > 5


MIXED_ROWS = st.lists(
    st.tuples(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.booleans()), max_size=80
)


@given(MIXED_ROWS)
def test_pieces_that_are_not_sent_count_for_no_request(
    rows: list[tuple[list[int], bool]],
) -> None:
    """The requests of a shard are those of its other rows alone, and cover every piece."""
    packer = ShardPacker(limits=LIMITS)
    alone = ShardPacker(limits=LIMITS)
    sent: list[bool] = []
    for tokens, is_sent in rows:
        packer.add(tokens, sent=is_sent)
        sent += [is_sent] * len(tokens)
        if is_sent:
            alone.add(tokens)
    assert packer.tokens == [count for tokens, _ in rows for count in tokens]
    assert packer.rows == len(rows)
    assert packer.starts[:1] in ([], [0])
    ends = [*packer.starts[1:], len(sent)][: len(packer.starts)]
    requests = [
        [packer.tokens[piece] for piece in range(start, end) if sent[piece]]
        for start, end in zip(packer.starts, ends, strict=True)
    ]
    bounds = [*alone.starts, len(alone.tokens)]
    assert requests == [alone.tokens[start:end] for start, end in pairwise(bounds)]


def test_a_full_shard_takes_no_more_that_is_not_sent() -> None:
    packer = ShardPacker(limits=LIMITS, shard=SHARD)
    while packer.takes([1], sent=False):
        packer.add([1], sent=False)
    assert len(packer.tokens) == SHARD.max_pieces
    assert packer.starts == []
    assert packer.takes([])


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2)), max_size=80), st.integers(0, 9))
def test_rows_that_may_not_share_a_request_have_their_own_and_each_its_room(
    rows: list[tuple[int, int]], each: int
) -> None:
    """What pieces add to the answer, and what a row's requests take besides, has room as well."""
    limits = RequestLimits(
        max_inputs=7, max_request_tokens=100, max_input_tokens=40, output_tokens_per_piece=each
    )
    packer = ShardPacker(limits=limits)
    last = 0
    for tokens, group in rows:
        packer.add([tokens], apart=group != last, more_tokens=10 * group)
        last = group
    bounds = [*packer.starts, len(rows)]
    for start, end in pairwise(bounds):
        request = rows[start:end]
        assert len({group for _, group in request}) == 1
        used = 10 * request[0][1] + sum(tokens + each for tokens, _ in request)
        assert used <= limits.max_request_tokens
