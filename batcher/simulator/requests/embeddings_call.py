"""An embeddings request, validated as OpenAI validates it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from batcher.simulator.config import SimulatorConfig
from batcher.simulator.replies import Refused, empty_array, error, invalid, missing, wrong_type
from batcher.simulator.requests.calls import CountTokens, Object

NATIVE_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsCall:
    """One embeddings request: inputs, and the tokens of each."""

    model: str
    inputs: tuple[str | bytes, ...]
    """Texts; an array of tokens is kept as its JSON."""
    tokens: tuple[int, ...]
    dimensions: int
    base64: bool

    @property
    def prompt_tokens(self) -> int:
        """What the request costs: an embedding has no output."""
        return sum(self.tokens)

    @property
    def texts(self) -> list[str]:
        """The texts, one for each input; of token arrays, nothing."""
        return [text if isinstance(text, str) else "" for text in self.inputs]

    def charge(self, *, azure: bool) -> int:
        """Return the tokens that admission costs."""
        del azure
        return self.prompt_tokens

    def identities(self) -> list[bytes]:
        """Return 16 bytes for each input, the same for the same text under any model."""
        return [
            blake2b(
                text if isinstance(text, bytes) else text.encode(), digest_size=16, person=b"input"
            ).digest()
            for text in self.inputs
        ]


def read_embeddings(
    body: Object, model: str, config: SimulatorConfig, count_tokens: CountTokens
) -> EmbeddingsCall:
    """Validate an embeddings request."""
    if "input" not in body:
        raise missing("input")
    inputs = _read_inputs(body["input"], config)
    tokens = tuple(count_tokens(i) if isinstance(i, str) else i.count(b",") + 1 for i in inputs)
    if (longest := max(tokens)) > config.max_input_tokens:
        raise invalid(
            f"This model's maximum context length is {config.max_input_tokens} tokens, however "
            f"you requested {longest} tokens ({longest} in your prompt; 0 for the completion). "
            "Please reduce your prompt; or completion length."
        )
    if (total := sum(tokens)) > config.max_request_tokens:
        raise Refused(
            error(
                400,
                f"Requested {total} tokens, max {config.max_request_tokens} tokens per request",
                type="max_tokens_per_request",
                code="max_tokens_per_request",
            )
        )
    if not config.encoding_format and "encoding_format" in body:
        raise invalid(
            "Unrecognized request argument supplied: encoding_format", param="encoding_format"
        )
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise invalid(
            f"Invalid value: {encoding!r}. Supported values are: 'float' and 'base64'.",
            param="encoding_format",
            code="invalid_value",
        )
    return EmbeddingsCall(
        model=model,
        inputs=inputs,
        tokens=tokens,
        dimensions=_read_dimensions(body.get("dimensions"), model, config),
        base64=encoding == "base64",
    )


def _read_inputs(given: object, config: SimulatorConfig) -> tuple[str | bytes, ...]:
    unreadable = invalid(
        "'$.input' is invalid. Please check the API reference: "
        "https://platform.openai.com/docs/api-reference."
    )
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list):
        raise unreadable
    if not given:
        raise empty_array("input")
    if _is_token_array(given):
        return (orjson.dumps(given),)
    if len(given) > config.max_inputs:
        raise invalid(
            f"Invalid 'input': array too long. Expected an array with maximum length "
            f"{config.max_inputs}, but got an array with length {len(given)} instead.",
            param="input",
            code="array_above_max_length",
        )
    if all(isinstance(item, str) and item for item in given):
        return tuple(given)
    if all(isinstance(item, list) and _is_token_array(item) for item in given):
        return tuple(orjson.dumps(item) for item in given)
    raise unreadable


def _is_token_array(items: list[Any]) -> bool:
    return bool(items) and all(type(item) is int and item >= 0 for item in items)


def _read_dimensions(given: object, model: str, config: SimulatorConfig) -> int:
    if given is None:
        return config.dimensions
    if type(given) is not int:
        raise wrong_type("dimensions", "an integer", given)
    if model.startswith("text-embedding-ada"):
        raise invalid("This model does not support specifying dimensions.", param="dimensions")
    most = max(config.dimensions, NATIVE_DIMENSIONS.get(model, 8192))
    if not 1 <= given <= most:
        bound = "greater than 0" if given < 1 else f"less than or equal to {most}"
        raise invalid(
            f"Invalid value for 'dimensions' = {given}. Must be {bound}.", param="dimensions"
        )
    return given
