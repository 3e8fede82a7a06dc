"""What the script keeps in Redis, read without it: MessagePack, in the order that it names."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

from batcher.adapters.throttle.redis import read_script

Value = Any
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A quota's state, by the script's names."""

    requests: dict[str, Value]
    tokens: dict[str, Value]
    refusals: dict[str, Value]
    quota: dict[str, Value]
    shared: float
    shared_at: float
    members: list[list[Value]]
    request_window: dict[str, Value]
    token_window: dict[str, Value]


def read(packed: bytes) -> Kept:
    """The state."""
    values, end = _decode(packed, 0)
    assert end == len(packed)
    script = read_script()
    records = []
    for name in ("BUCKET", "BUCKET", "REFUSALS", "QUOTA"):
        names = _names(script, name)
        records.append(dict(zip(names, values, strict=False)))
        values = values[len(names) :]
    shared, shared_at, members, *values = values
    windows = []
    for _ in range(2):
        names = _names(script, "WINDOW")
        windows.append(dict(zip(names, values, strict=False)))
        windows[-1]["log"] = values[len(names)] or []
        values = values[len(names) + 1 :]
    names = _names(script, "QUOTA_MORE")
    more = dict(zip(names, values, strict=False))
    values = values[len(names) :]
    names = _names(script, "WINDOW_MORE")
    for window in windows:
        window.update(zip(names, values, strict=False))
        values = values[len(names) :]
    last = dict(zip(_names(script, "QUOTA_LAST"), values, strict=True))
    requests, tokens, refusals, quota = records
    return Kept(
        requests=requests,
        tokens=tokens,
        refusals=refusals,
        quota={**quota, **more, **last},
        shared=shared,
        shared_at=shared_at,
        members=members or [],
        request_window=windows[0],
        token_window=windows[1],
    )


def _names(script: str, table: str) -> list[str]:
    found = re.search(rf"local {table} = \{{(.*?)\}}", script, re.DOTALL)
    assert found is not None
    return re.findall(r'"(\w+)"', found[1])


def _decode(packed: bytes, at: int) -> tuple[Value, int]:
    """The value that begins at a place, and where it ends."""
    code = packed[at]
    if code < 0x80:
        return code, at + 1
    if code >= 0xE0:
        return code - 0x100, at + 1
    if code in (0xC2, 0xC3):
        return code == 0xC3, at + 1
    if code in _NUMBERS:
        (number,) = struct.unpack_from(_NUMBERS[code], packed, at + 1)
        return number, at + 1 + struct.calcsize(_NUMBERS[code])
    if code & 0xE0 == 0xA0:
        end = at + 1 + (code & 0x1F)
        return packed[at + 1 : end].decode(), end
    if code == 0x80 or code & 0xF0 == 0x90:
        size, end = code & 0x0F, at + 1
    elif code == 0xDC:
        (size,), end = struct.unpack_from(">H", packed, at + 1), at + 3
    else:
        raise AssertionError(f"unexpected {code:#x}")
    values = []
    for _ in range(size):
        value, end = _decode(packed, end)
        values.append(value)
    return values, end
