"""Embeddings: unit vectors that are a pure function of text, model and dimensions.

A whole request is one numpy computation: a counter-based generator (splitmix64's finaliser)
keyed by a hash of model and text, so no vector depends on its neighbours. As with OpenAI's
models, a shorter vector is the beginning of the longer one, scaled to length 1 again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15


def vectors(texts: Sequence[str | bytes], model: str, dimensions: int) -> NDArray[np.float32]:
    """Return one row a text, of length 1, as little-endian float32."""
    # Keyed hashing takes at most 64 bytes of key: the name's own hash stands for the name.
    key = blake2b(model.encode(), digest_size=32).digest()
    seeds = b"".join(
        blake2b(text if isinstance(text, bytes) else text.encode(), digest_size=8, key=key).digest()
        for text in texts
    )
    state = np.frombuffer(seeds, dtype="<u8")[:, None] + _steps(dimensions)
    state ^= state >> np.uint64(30)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    # The upper half of each number, seen as signed, is even between -2^31 and 2^31.
    halves = (state >> np.uint64(32)).astype("<u4").view("<i4")
    rows = halves.astype("<f4")
    norms = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
    rows /= norms
    return rows


def _steps(dimensions: int) -> NDArray[np.uint64]:
    return np.arange(1, dimensions + 1, dtype="<u8") * np.uint64(_GOLDEN)
