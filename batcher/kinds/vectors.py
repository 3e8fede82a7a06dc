"""Vectors as answers hold them: base64 or numbers, and nothing taken for a vector that is none."""

from __future__ import annotations

import numpy as np
import pybase64

_MOST_SQUARE = 1e20  # of a length; what is longer are bytes of another type or order
_FEW = 8
"""A vector of fewer numbers may have zeros at every other place."""
_OTHER_ALPHABET = str.maketrans("-_", "+/")


def read_vector(embedding: object) -> bytes | None:
    """The raw little-endian float32 of a vector; None where it can be no embedding.

    Args:
        embedding: base64 of little-endian float32, as a text or as a view of its bytes; or a list
            of numbers, perhaps as the only one in a list.
    """
    while isinstance(embedding, list) and len(embedding) == 1 and isinstance(embedding[0], list):
        embedding = embedding[0]  # one vector as a list of vectors
    try:
        if isinstance(embedding, str | memoryview):
            raw = _decoded(embedding)
            vector = np.frombuffer(raw, dtype="<f4")
            if _are_doubles(vector):
                return None
        elif isinstance(embedding, list):
            vector = _as_float32(embedding)
            raw = vector.tobytes()
        else:
            return None
    except (ValueError, TypeError, OverflowError):
        return None
    if vector.ndim != 1 or not vector.size:
        return None
    with np.errstate(all="ignore"):
        square = float(vector @ vector)
    return raw if square < _MOST_SQUARE else None


def _are_doubles(vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bool:
    """Whether these are numbers of 64 bits, whose lower halves are nothing where they were of 32.

    (Where they are something, the halves are no numbers that a vector has.)
    """
    if vector.size < _FEW or vector.size % 2 or vector[0] != 0:
        return False
    return not vector[::2].any() and bool(vector[1::2].any())


def _decoded(embedding: str | memoryview) -> bytes:
    """The bytes of a base64 text, of the other alphabet, in lines or without padding if need be.

    Raises:
        ValueError: it is none.
    """
    try:
        return pybase64.b64decode(embedding, validate=True)
    except ValueError:
        if isinstance(embedding, memoryview):
            embedding = str(embedding, "utf-8", "replace")
        plain = "".join(embedding.split()).rstrip("=").translate(_OTHER_ALPHABET)
        return pybase64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _as_float32(numbers: list[object]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return np.asarray(numbers, dtype="<f4")
