"""Ids as they are compared: as text, whatever type the input gives them."""

from __future__ import annotations

from collections.abc import Sequence

from batcher.core.model import RowId


def id_texts(ids: Sequence[RowId]) -> Sequence[str]:
    """``"1"`` and ``1`` are the same, and so are ``"true"`` and true."""
    kinds = set(map(type, ids))
    if bool in kinds:
        return [str(i).lower() if isinstance(i, bool) else str(i) for i in ids]
    return list(map(str, ids))
