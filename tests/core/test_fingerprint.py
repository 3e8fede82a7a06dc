"""What makes two runs the same job."""

from __future__ import annotations

from typing import Any

import pytest

from batcher.core.fingerprint import fingerprint

BASE: dict[str, Any] = {
    "kind": "embed",
    "kind_version": 1,
    "identity": {"text": "body", "labels": ["a", "b"]},
    "model": "m",
    "base_url": "https://api.openai.com/v1",
    "tokenizer": "o200k_base",
    "parameters": {"seed": 1},
    "selection": {"id": None, "limit": None},
    "input_sha256": "00",
}


def test_it_is_short_hex_and_always_the_same() -> None:
    first = fingerprint(**BASE)
    assert len(first) == 32
    assert int(first, 16) >= 0
    assert first == fingerprint(**BASE)


def test_the_order_of_keys_does_not_matter() -> None:
    turned = {**BASE, "identity": {"labels": ["a", "b"], "text": "body"}}
    assert fingerprint(**turned) == fingerprint(**BASE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "chat"),
        ("kind_version", 2),
        ("identity", {"text": "body", "labels": ["b", "a"]}),
        ("identity", {"text": "body"}),
        ("model", "m2"),
        ("base_url", "simulate"),
        ("tokenizer", "cl100k_base"),
        ("parameters", {"seed": "1"}),
        ("parameters", {}),
        ("selection", {"id": "id", "limit": None}),
        ("selection", {"id": None, "limit": 1}),
        ("input_sha256", "01"),
    ],
)
def test_whatever_shapes_requests_or_results_makes_another_job(name: str, value: Any) -> None:
    assert fingerprint(**{**BASE, name: value}) != fingerprint(**BASE)


def test_any_text_can_be_hashed() -> None:
    assert fingerprint(**{**BASE, "identity": {"text": "\ud800 🙂 \0"}}) != fingerprint(**BASE)
