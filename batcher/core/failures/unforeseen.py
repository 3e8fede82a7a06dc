"""What may be said of an exception that nobody foresaw: its type, and where it was raised.

Never its words: they might quote a row or a key.
"""

from __future__ import annotations

from traceback import extract_tb


def described(error: BaseException) -> str:
    """The type, and the file and line of the innermost frame."""
    name = type(error).__name__
    frames = extract_tb(error.__traceback__)
    if not frames:
        return name
    return f"{name} in {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}"
