"""What deletions gave back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What a database gave back to the disk, and what it holds free for what it will write.

    ``left_because`` says why something is left, empty where nothing is to be said.
    """

    given_back_bytes: int = 0
    free_bytes: int = 0
    left_because: str = ""
