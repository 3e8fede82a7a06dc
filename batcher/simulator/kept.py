"""Answers kept for idempotency keys, as gateways keep them.

What was worked on is kept from that moment on, whether anybody waited for it or not. A key that
comes with another body is refused, in the words of the IETF's draft (`Idempotency-Key`).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Generic, TypeVar

from batcher.simulator.replies import Refused, error

KEY_HEADER = "Idempotency-Key"
REPLAYED = "idempotent-replayed"
"""Stripe's name for the header that says that an answer was kept."""

_T = TypeVar("_T")


class KeptAnswers(Generic[_T]):
    """What was answered under each key."""

    def __init__(self, keep_as: Callable[[_T], _T]) -> None:
        """`keep_as` makes of an answer what is kept of it."""
        self._keep_as = keep_as
        self._kept: dict[str, tuple[bytes, _T]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: str | None, body: bytes) -> _T | None:
        """Return what is kept; raise `Refused` where that was for another body."""
        if key is None or key not in self._kept:
            return None
        known, answer = self._kept[key]
        if known != _digest(body):
            raise Refused(
                error(
                    422,
                    "The idempotency key was used with another request body.",
                    type="idempotency_error",
                    code="idempotency_key_reused",
                )
            )
        return answer

    def keep(self, key: str | None, body: bytes, answer: _T) -> None:
        """Keep an answer under the key, if there is one."""
        if key is not None:
            self._kept[key] = (_digest(body), self._keep_as(answer))


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()
