"""Results as they are kept: one piece's as bytes, and those of some pieces as one blob.

Vectors lie end to end, JSON objects are one a line. Where a result is both, it begins with two
numbers of 32 bits, the lengths of its object and of its vector in bytes, and they follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

import orjson
import zstandard

from batcher.core.kind import Broken, Field, Shape, shape_of
from batcher.core.text import exactjson
from batcher.engine.shards.payload import sound

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]

FLOAT_BYTES = 4
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_WORTH_COMPRESSING_BYTES = 256
_LENGTHS = Struct("<II")
_NO_VECTOR = Broken("invalid_vector", "the answer's vector has values that are not finite numbers")


def encode_result(fields: Sequence[Field], value: object) -> bytes | Broken:
    """What a kind's :class:`batcher.core.kind.Done` holds, as it is kept.

    Raises:
        ValueError: it cannot be kept, which is the kind's fault; says what it is.
    """
    shape, names, vector = _told(tuple(fields))
    if isinstance(value, Mapping):
        return _encode_fields(names, vector, value)
    if not isinstance(value, bytes):
        raise ValueError(f"a result that is a {type(value).__name__}, not an object of its fields")
    if shape is Shape.BOTH:
        raise ValueError("a result as bytes, though it has a vector and other fields")
    if shape is Shape.VECTOR and (not value or len(value) % FLOAT_BYTES):
        raise ValueError(f"a vector of {len(value)} bytes")
    if shape is Shape.JSON and (not value or b"\n" in value):
        raise ValueError("a result that is not one line")
    return value


@lru_cache(maxsize=64)
def _told(fields: tuple[Field, ...]) -> tuple[Shape, tuple[str, ...], str | None]:
    """The shape of results, the names of the plain fields, and that of the vector, if any."""
    vectors = [field.name for field in fields if field.type == "vector"]
    names = tuple(field.name for field in fields if field.type != "vector")
    return shape_of(fields), names, vectors[0] if vectors else None


def _encode_fields(
    names: Sequence[str], vector: str | None, value: Mapping[str, Any]
) -> bytes | Broken:
    plain = {name: value[name] for name in names if name in value}
    if len(plain) + (vector in value) != len(value):
        strange = next(name for name in value if name not in names and name != vector)
        raise ValueError(f"a result with {strange!r}, which is not a field of the kind")
    if vector is None:
        return _line(plain)
    if vector not in value:
        raise ValueError(f"a result without its vector {vector!r}")
    floats = _vector(value[vector])
    if floats is None:
        return _NO_VECTOR
    if not names:
        return floats
    line = _line(plain)
    return _LENGTHS.pack(len(line), len(floats)) + line + floats


def _line(value: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        pass
    try:
        return exactjson.marked(exactjson.plain(value)).encode()
    except ValueError as error:
        raise ValueError(f"a result that is not JSON: {error}") from None


def _vector(value: object) -> bytes | None:
    """A vector's float32s; None where it is no list of finite numbers."""
    import numpy as np  # takes a tenth of a second: only where there are vectors

    if isinstance(value, bytes):
        value = np.frombuffer(value, dtype="<f4") if not len(value) % FLOAT_BYTES else None
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    if array.ndim != 1 or not array.size or array.dtype.kind not in "fiu":
        return None
    with np.errstate(over="ignore"):
        floats = array.astype("<f4")
    return floats.tobytes() if np.isfinite(floats).all() else None


def vector_length(shape: Shape, result: bytes) -> int:
    """How many dimensions the vector of a piece's result has."""
    size: int = len(result) if shape is Shape.VECTOR else _LENGTHS.unpack_from(result)[1]
    return size // FLOAT_BYTES


def join_results(shape: Shape, values: Sequence[bytes]) -> bytes:
    """The results of a row's pieces as one, which may be joined again."""
    return (b"\n" if shape is Shape.JSON else b"").join(values)


def encode_results(shape: Shape, values: Sequence[bytes]) -> bytes:
    """The results of some pieces as a blob; vectors without other fields have one length in it."""
    blob = join_results(shape, values)
    if shape is Shape.JSON and len(blob) >= _WORTH_COMPRESSING_BYTES:
        return zstandard.compress(blob)
    return blob


def split_results(shape: Shape, pieces: int, blob: bytes) -> list[bytes]:
    """The reverse of :func:`encode_results`, for a blob of so many pieces' results.

    Raises:
        DamagedStore: it is not what was written.
    """
    with sound("results"):
        if shape is Shape.JSON:
            return _lines(blob)
        if shape is Shape.BOTH:
            return [blob[start:end] for start, _, end in _spans(blob)]
        size = len(blob) // pieces
        return [blob[start : start + size] for start in range(0, len(blob), size)]


def read_objects(shape: Shape, blob: bytes) -> list[dict[str, Any]]:
    """The objects of a blob of results, in order; none where they are vectors alone.

    Raises:
        DamagedStore: it is not what was written.
    """
    with sound("results"):
        if shape is Shape.VECTOR:
            return []
        if shape is Shape.JSON:
            return [_read_line(line) for line in _lines(blob)]
        return [
            _read_line(blob[start + _LENGTHS.size : vector]) for start, vector, _ in _spans(blob)
        ]


def read_vectors(shape: Shape, pieces: int, blob: bytes) -> Vector | list[Vector]:
    """The vectors of a blob of so many pieces' results, in order, where they lie.

    Vectors alone have one length, and come as an array of shape (pieces, dimension).

    Raises:
        DamagedStore: it is not what was written.
    """
    import numpy as np

    with sound("results"):
        if shape is Shape.VECTOR:
            whole: Vector = np.frombuffer(blob, dtype="<f4").reshape(pieces, -1)
            return whole
        return [np.frombuffer(blob[vector:end], dtype="<f4") for _, vector, end in _spans(blob)]


def _read_line(line: bytes) -> dict[str, Any]:
    value: dict[str, Any] = (
        exactjson.loads(line) if exactjson.is_marked(line) else orjson.loads(line)
    )
    return value


def _lines(blob: bytes) -> list[bytes]:
    return (zstandard.decompress(blob) if blob.startswith(_ZSTD_MAGIC) else blob).split(b"\n")


def _spans(blob: bytes) -> Iterator[tuple[int, int, int]]:
    """Where each result of both forms begins, where its vector begins, and where it ends."""
    start = 0
    while start < len(blob):
        line, size = _LENGTHS.unpack_from(blob, start)
        vector = start + _LENGTHS.size + line
        if vector + size > len(blob):
            raise ValueError("a result is cut off")
        yield start, vector, vector + size
        start = vector + size
