"""A set of 16-byte hashes in little memory: 24 to 48 bytes a member, a set of bytes needs 110.

Open addressing in bytearrays, split into shards by the first byte so that growing one never
stops the server for long.
"""

from __future__ import annotations

WIDTH = 16
_EMPTY = bytes(WIDTH)
_FIRST_SLOTS = 64


class HashSet:
    """Members are 16 bytes that are evenly distributed; 16 zero bytes are no member."""

    __slots__ = ("_count", "_shards")

    def __init__(self) -> None:
        self._shards: list[_Shard | None] = [None] * 256
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, member: bytes) -> bool:
        """Add a member; return whether it is new."""
        shard = self._shards[member[0]]
        if shard is None:
            shard = self._shards[member[0]] = _Shard()
        new = shard.add(member)
        self._count += new
        return new


class _Shard:
    __slots__ = ("_count", "_mask", "_table")

    def __init__(self) -> None:
        self._table = bytearray(_FIRST_SLOTS * WIDTH)
        self._mask = _FIRST_SLOTS - 1
        self._count = 0

    def add(self, member: bytes) -> bool:
        if not self._place(member):
            return False
        self._count += 1
        if self._count * 3 > (self._mask + 1) * 2:
            self._grow()
        return True

    def _place(self, member: bytes) -> bool:
        table, mask = self._table, self._mask
        slot = int.from_bytes(member[8:16], "little") & mask
        while True:
            start = slot * WIDTH
            held = table[start : start + WIDTH]
            if held == _EMPTY:
                table[start : start + WIDTH] = member
                return True
            if held == member:
                return False
            slot = (slot + 1) & mask

    def _grow(self) -> None:
        old = self._table
        self._table = bytearray(2 * len(old))
        self._mask = 2 * self._mask + 1
        for start in range(0, len(old), WIDTH):
            member = bytes(old[start : start + WIDTH])
            if member != _EMPTY:
                self._place(member)
