"""Which runs are the same job, and which rows are the same work: hashes over what shapes them.

A job's fingerprint covers everything that shapes requests and results. Not part of it: the output,
rates, budget, concurrency, timeouts, its name and the credential. A job's recipe is that part of it
that is the same for every row and every input; a row's content is its texts under a recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from struct import pack
from typing import Any
from zlib import crc32

from batcher.core.model import Prompt
from batcher.core.text import exactjson


def fingerprint(
    *,
    kind: str,
    kind_version: int,
    identity: Mapping[str, Any],
    model: str,
    base_url: str,
    tokenizer: str,
    parameters: Mapping[str, Any],
    selection: Mapping[str, Any],
    input_sha256: str,
) -> str:
    """A hex digest of 32 characters.

    ``identity`` is the bound kind's (contents of templates and labels, not paths), ``selection``
    says which rows and how they are read, ``parameters`` go into every body.
    """
    described = {
        "kind": kind,
        "kind_version": kind_version,
        "identity": identity,
        "model": model,
        "base_url": base_url,
        "tokenizer": tokenizer,
        "parameters": parameters,
        "selection": selection,
        "input": input_sha256,
    }
    return _digest(described)


def recipe(
    *,
    kind: str,
    kind_version: int,
    identity: Mapping[str, Any],
    model: str,
    base_url: str,
    api_version: str | None,
    parameters: Mapping[str, Any],
    cutting: Sequence[Any] | None,
) -> str:
    """A hex digest of 32 characters of what makes a row's result, besides the row.

    ``cutting`` is what decides how over-long texts are cut, None where they are not. Limits that
    only say how rows are packed are no part of it: a vector does not depend on its neighbours.
    """
    return _digest(
        {
            "kind": kind,
            "kind_version": kind_version,
            "identity": identity,
            "model": model,
            "base_url": base_url,
            "api_version": api_version,
            "parameters": parameters,
            "cutting": cutting,
        }
    )


CONTENT_BYTES = 16
"""The length of a row's content hash."""
_NO_TEXT = b"\xff" * 8
"""In place of a text's length: no text has so many bytes."""


def content(recipe: bytes, prompt: Prompt, more: Sequence[bytes] = ()) -> bytes:
    """A digest of a row's texts under a recipe: equal where the request would be the same.

    ``more`` is what the row's request has of its own besides its texts, each part in its place.

    Raises:
        UnicodeEncodeError: a text has half of a surrogate pair, which cannot be sent.
    """
    digest = hashlib.blake2b(digest_size=CONTENT_BYTES, key=recipe)
    for text in prompt:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    if more:
        digest.update(_NO_TEXT)
        for part in more:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.digest()


ID_BYTES = 4
"""The length of the hash by which a row is found by its id."""


def id_hashes(texts: Sequence[str]) -> bytes:
    """The hashes of ids as texts, one after the other: they say where to look, and no more."""
    hashes = [crc32(text.encode("utf-8", "surrogatepass")) for text in texts]
    return pack(f">{len(hashes)}I", *hashes)


def _digest(described: Mapping[str, Any]) -> str:
    text = json.dumps(
        described, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_number
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _number(value: object) -> dict[str, str]:
    """A number that only a Decimal holds, in a form that no other parameter has."""
    if isinstance(value, Decimal):
        return {"batcher.decimal": exactjson.number_text(value)}
    raise TypeError(f"a {type(value).__name__} cannot be represented in JSON")
