"""What a shard's checkpoints hold of its pieces: their vectors and objects, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from batcher.core.kind import Shape
from batcher.engine.shards.results import read_objects, read_vectors
from batcher.ports import StoredShard

Vectors = npt.NDArray[np.float32]


@dataclass(slots=True)
class PieceResults:
    """The results of a shard's pieces, in the order of the pieces.

    Attributes:
        have: which pieces have a result, of shape (pieces,).
        vectors: of shape (pieces, dimension); None where results have none, or none is there yet.
        objects: the other fields; empty where results are vectors alone.
    """

    have: npt.NDArray[np.bool_]
    vectors: Vectors | None = None
    objects: list[dict[str, Any] | None] = field(default_factory=list)


def read_results(
    stored: StoredShard, shape: Shape, pieces: int, dimension: int | None
) -> PieceResults:
    """The results of all pieces.

    Vectors have the length ``dimension``, or if that is None that of the first; results whose
    vector has another are left out. Those that lie in one blob in order are used where they are:
    fresh memory is what costs here.

    Raises:
        DamagedStore: a blob is not what was written.
    """
    if shape is Shape.VECTOR and len(stored.results) == 1:
        done, blob = stored.results[0]
        if done == tuple(range(pieces)):
            whole = np.asarray(read_vectors(shape, pieces, blob))
            if dimension in (None, whole.shape[1]):
                return PieceResults(np.ones(pieces, dtype=bool), whole)
    found = PieceResults(np.zeros(pieces, dtype=bool))
    if shape is not Shape.VECTOR:
        found.objects = [None] * pieces
    for done, blob in stored.results:
        if not done:
            continue
        index = np.asarray(done)
        if shape is not Shape.JSON:
            kept = _place(found, index, read_vectors(shape, len(done), blob), dimension)
            dimension = dimension if found.vectors is None else found.vectors.shape[1]
        else:
            kept = np.ones(len(done), dtype=bool)
        found.have[index[kept]] = True
        if shape is not Shape.VECTOR:
            for piece, value, keep in zip(done, read_objects(shape, blob), kept, strict=True):
                if keep:
                    found.objects[piece] = value
    return found


def _place(
    found: PieceResults,
    index: npt.NDArray[np.int_],
    vectors: Vectors | list[Vectors],
    dimension: int | None,
) -> npt.NDArray[np.bool_]:
    """Put the vectors of some pieces where they belong; returns which of them have the length."""
    dimension = dimension or len(vectors[0])
    if found.vectors is None:
        found.vectors = np.empty((len(found.have), dimension), dtype=np.float32)
    if isinstance(vectors, np.ndarray):
        kept = np.full(len(index), vectors.shape[1] == dimension)
    else:
        kept = np.array([len(vector) == dimension for vector in vectors])
    if kept.any():
        chosen = (
            vectors
            if isinstance(vectors, np.ndarray)
            else np.stack([vector for vector, keep in zip(vectors, kept, strict=True) if keep])
        )
        found.vectors[index[kept]] = chosen
    return kept
