"""Values as JSON, as outputs have them: compact, exact, and vectors as short as they can be."""

from __future__ import annotations

from typing import Any

import orjson

from batcher.core.text import exactjson


def json_bytes(value: Any) -> bytes:
    """Compact JSON; arrays of float32 with as few digits as tell them apart.

    What orjson refuses (integers beyond 64 bits) or makes null of (NaN) is written as it is.
    """
    try:
        written = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:
        return exactjson.dumps(_without_arrays(value)).encode()
    if b"null" in written and exactjson.holds_nan(value):
        return exactjson.dumps(value).encode()
    return written


def _without_arrays(value: Any) -> Any:
    """A record with lists in place of its arrays of float32, each with the digits it needs."""
    if not isinstance(value, dict):
        return value
    return {
        key: orjson.loads(orjson.dumps(item, option=orjson.OPT_SERIALIZE_NUMPY))
        if hasattr(item, "dtype")
        else item
        for key, item in value.items()
    }
