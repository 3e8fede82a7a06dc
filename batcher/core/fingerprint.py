"""Which runs are the same job: a hash over everything that shapes requests and results.

Not part of it: the output, rates, budget, concurrency, timeouts and the credential.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


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
    text = json.dumps(described, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
