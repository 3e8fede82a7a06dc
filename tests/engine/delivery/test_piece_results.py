"""A shard's results by piece, however checkpoints cut them into blobs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import DamagedStore
from batcher.core.kind import Shape
from batcher.engine.delivery.piece_results import read_results
from batcher.engine.shards.results import encode_results
from batcher.ports import StoredShard

PIECES = 7


def stored(shape: Shape, *blobs: dict[int, bytes]) -> StoredShard:
    """A shard whose checkpoints each hold the results of some pieces."""
    return StoredShard(
        ordinal=0,
        first_row=0,
        rows=PIECES,
        outline=b"",
        columns=None,
        results=[(tuple(blob), encode_results(shape, list(blob.values()))) for blob in blobs],
        dead_rows=frozenset(),
    )


def vector(piece: int, length: int = 3) -> bytes:
    return np.full(length, piece, dtype="<f4").tobytes()


ORDERS = st.permutations(range(PIECES)).flatmap(
    lambda order: st.tuples(st.just(order), st.integers(0, PIECES), st.integers(0, PIECES))
)


@given(ORDERS, st.sampled_from([Shape.VECTOR, Shape.JSON]))
def test_each_piece_has_its_own_result(cut: tuple[list[int], int, int], shape: Shape) -> None:
    order, first, second = cut
    parts = [order[:first], order[first : first + second]]
    make = vector if shape is Shape.VECTOR else lambda piece: b'{"piece":%d}' % piece
    blobs = [{piece: make(piece) for piece in part} for part in parts]
    found = read_results(stored(shape, *blobs), shape, PIECES, None)
    done = {piece for part in parts for piece in part}
    assert set(np.flatnonzero(found.have).tolist()) == done
    for piece in done:
        if shape is Shape.VECTOR:
            assert found.vectors is not None
            assert found.vectors[piece].tolist() == [piece] * 3
        else:
            assert found.objects[piece] == {"piece": piece}


@pytest.mark.parametrize(("dimension", "kept"), [(None, [0, 1]), (3, [0, 1]), (2, [2, 3])])
def test_vectors_of_another_length_than_the_jobs_are_left_out(
    dimension: int | None, kept: list[int]
) -> None:
    """While nobody knows it, those of the first length count."""
    shard = stored(
        Shape.VECTOR, {0: vector(0), 1: vector(1)}, {2: vector(2, length=2), 3: vector(3, length=2)}
    )
    found = read_results(shard, Shape.VECTOR, PIECES, dimension)
    assert np.flatnonzero(found.have).tolist() == kept


def test_all_pieces_in_order_are_used_where_they_lie() -> None:
    shard = stored(Shape.VECTOR, {piece: vector(piece) for piece in range(PIECES)})
    found = read_results(shard, Shape.VECTOR, PIECES, None)
    assert found.vectors is not None
    assert np.shares_memory(found.vectors, np.frombuffer(shard.results[0][1], dtype="<f4"))
    assert found.have.all()


def test_a_blob_that_was_not_written_so_is_damage() -> None:
    shard = stored(Shape.VECTOR, {0: vector(0), 1: b"a"})
    with pytest.raises(DamagedStore):
        read_results(shard, Shape.VECTOR, PIECES, None)
