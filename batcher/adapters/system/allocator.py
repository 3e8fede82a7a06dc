"""Memory that is given back to the system when it is freed.

The GNU C library keeps large blocks once it has seen some come and go: each answer of megabytes
then leaves a hole in the heap, and a process that holds little looks as if it held much. With a
threshold that stays where it is, every such block is a mapping of its own, and gone when freed.
And each thread has a heap of its own, with holes of its own, that no other uses; one does for all,
since Python's threads take turns.
"""

from __future__ import annotations

import ctypes
import os

_MMAP_THRESHOLD = -3  # malloc.h: M_MMAP_THRESHOLD
_ARENA_MAX = -8  # malloc.h: M_ARENA_MAX
_LARGE_BYTES = 2**18


def give_large_blocks_back() -> None:
    """Have it so for this process; elsewhere than with that library nothing is changed."""
    if "CS_GNU_LIBC_VERSION" in os.confstr_names:
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        library.mallopt(_ARENA_MAX, 1)
