"""The request parameters that one row has of its own: which there may be, and its output cap.

Pure rules over plain JSON. A kind makes them of the row (``SetsRowParameters``), a plan keeps them
beside the row's prompts, and the body of the row's request has them in place of the job's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from batcher.core.text import exactjson

RowParameters: TypeAlias = Mapping[str, Any]

OUTPUT_CAPS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""What endpoints call the limit of tokens of an answer."""
RESERVED: Final = ("model", "stream", "service_tier")
"""What is the same for all requests of a job: its model, how answers come, and by which tier."""
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def read_row_parameters(value: object) -> dict[str, Any] | None:
    """What a kind gave, as plain JSON; None where it is empty.

    Raises:
        ValueError: it cannot be sent, which is the kind's fault; says what it is.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"row parameters that are a {type(value).__name__}")
    if not value:
        return None
    plain: dict[str, Any] = exactjson.plain(value)
    for name in RESERVED:
        if name in plain:
            raise ValueError(f"the row parameter {name!r}, which is the same for all rows")
    for name in OUTPUT_CAPS:
        cap = plain.get(name, 1)
        if not isinstance(cap, int) or isinstance(cap, bool) or cap < 1:
            raise ValueError(f"a {name} that is not a whole number from 1 on")
    return plain


def row_parameters_bytes(parameters: RowParameters) -> bytes:
    """The parameters as bytes: equal where they say the same.

    Raises:
        UnicodeEncodeError: a text has half of a surrogate pair, which cannot be sent.
    """
    try:
        text = _ENCODER.encode(parameters)
    except (TypeError, ValueError):  # a number that only a Decimal holds
        text = exactjson.dumps(_sorted(parameters))
    return text.encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def row_cap(parameters: RowParameters | None) -> int | None:
    """The limit of output tokens that the row has of its own; None where it has none."""
    if parameters is None:
        return None
    caps = [parameters[name] for name in OUTPUT_CAPS if name in parameters]
    return max(caps) if caps else None


def put_row_parameters(body: dict[str, Any], parameters: RowParameters) -> None:
    """Put the row's parameters into a request's body, in place of the job's.

    A cap of the row's own takes the place of any other, whatever that is called.
    """
    if any(name in parameters for name in OUTPUT_CAPS):
        for name in OUTPUT_CAPS:
            body.pop(name, None)
    body.update(parameters)
