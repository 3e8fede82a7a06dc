"""What every request has: a JSON body, a model, texts and a cost.

Reads the body as far as all endpoints agree; the endpoints' own parameters are read in
`embeddings_call` and `chat_call`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from batcher.simulator.replies import Refused, invalid, not_json, unknown_model, wrong_type

CountTokens = Callable[[str], int]
Object = Mapping[str, Any]


class Call(Protocol):
    """A request that is valid: what it holds, and what it costs."""

    @property
    def model(self) -> str:
        """The model or the Azure deployment."""

    @property
    def texts(self) -> Sequence[str]:
        """Texts in which a fault may be asked for, one an input or a message."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of everything that was sent."""

    def charge(self, *, azure: bool) -> int:
        """Return the tokens that admission costs."""

    def identities(self) -> list[bytes]:
        """Return 16 bytes for each input: the same for the same content under any model."""


def estimate_tokens(text: str) -> int:
    """Count tokens where no tokenizer is given: a quarter of the UTF-8 bytes, at least one."""
    return max(1, math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4))


def read_body(raw: bytes, model: str | None, *, azure: bool) -> tuple[Object, str]:
    """Parse a body and return it with its model; `model` is the one the path names, if any."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise not_json() from exc
    if not isinstance(body, dict):
        raise not_json()
    if model is None:
        if "model" not in body:
            raise invalid("you must provide a model parameter")
        model = body["model"]
        if not isinstance(model, str):
            raise wrong_type("model", "a string", model)
    if not model or model.startswith("unknown"):
        raise Refused(unknown_model(model, azure=azure))
    return body, model
