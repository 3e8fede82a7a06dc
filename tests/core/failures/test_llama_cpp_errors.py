"""The errors of llama.cpp's own server, word for word as it gave them, and what they decide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batcher.core.failures.reading import ProviderError, read_error
from batcher.core.failures.verdicts import Backoff, Dead, Refusal, Split, judge

TOO_LARGE = (
    "input (181 tokens) is too large to process. increase the physical batch size "
    "(current batch size: 128)"
)
NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
TOO_LONG = (
    "request (3031 tokens) exceeds the available context size (2048 tokens), try increasing it"
)


def error(status: int, message: str, kind: str, **more: Any) -> ProviderError:
    """The error as ``batcher`` reads it: the code is the status once more."""
    body = {"error": {"code": status, "message": message, "type": kind, **more}}
    return read_error(status, {}, json.dumps(body).encode(), wall=0.0)


@pytest.mark.parametrize("pieces", [1, 8])
def test_a_text_above_the_physical_batch_is_found_by_halving(pieces: int) -> None:
    failure = error(500, TOO_LARGE, "server_error")
    assert judge(failure, pieces=pieces) == Split("request_too_large", TOO_LARGE)


def test_a_conversation_above_the_context_is_a_dead_letter_with_a_name() -> None:
    failure = error(400, TOO_LONG, "exceed_context_size_error", n_prompt_tokens=3031, n_ctx=2048)
    assert judge(failure, pieces=1) == Dead("exceed_context_size_error", TOO_LONG)


def test_a_server_without_embeddings_stops_the_job_at_once() -> None:
    verdict = judge(error(501, NO_EMBEDDINGS, "not_supported_error"), pieces=24)
    assert isinstance(verdict, Refusal)
    assert NO_EMBEDDINGS in verdict.reason


def test_a_server_that_still_loads_its_model_is_waited_for() -> None:
    verdict = judge(error(503, "Loading model", "unavailable_error"), pieces=1)
    assert verdict == Backoff("unavailable_error", "Loading model")


@pytest.mark.parametrize(
    ("code", "kind", "read"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        ("400", "BadRequestError", "BadRequestError"),
        (None, "insufficient_quota", "insufficient_quota"),
        (400, None, "400"),
        (40011, "invalid_request_error", "40011"),
        ("context_length_exceeded", "invalid_request_error", "context_length_exceeded"),
        (None, None, ""),
    ],
)
def test_a_code_that_repeats_the_status_gives_way_to_the_type(
    code: object, kind: object, read: str
) -> None:
    body = json.dumps({"error": {"code": code, "type": kind, "message": "no"}}).encode()
    assert read_error(400, {}, body, wall=0.0).code == read
