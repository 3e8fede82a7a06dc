"""Deterministic choice: an endless stream of numbers that is a pure function of a key."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import shake_128
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Numbers that look random and are the same for the same key, in any process."""

    __slots__ = ("_bytes", "_key", "_offset")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._bytes = shake_128(key).digest(512)
        self._offset = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self._offset + count
        if end > len(self._bytes):
            # A longer digest of the same key begins with the shorter one.
            self._bytes = shake_128(self._key).digest(2 * end)
        taken = self._bytes[self._offset : end]
        self._offset = end
        return taken

    def below(self, bound: int) -> int:
        """Return a whole number from 0 to `bound` - 1."""
        size = 4 if bound < 1 << 16 else 8 + bound.bit_length() // 8
        return int.from_bytes(self.take(size), "big") % bound

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def fraction(self) -> float:
        """Return a number from 0 up to, without, 1."""
        return self.below(1 << 32) / (1 << 32)

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]
