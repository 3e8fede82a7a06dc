"""Checksums of what is large and written once: a plan's blobs, a checkpoint's results.

CRC-32, as zlib has it (1 to 3 GB/s here): a disk's faults are to be found, not forgers. None stands
in rows that were written before there were any, and is never wrong.
"""

from __future__ import annotations

from zlib import crc32

_31_BITS = 0x7FFF_FFFF


def results_checksum(event: str, results: bytes, bills: bytes | None = None) -> int:
    """Of a checkpoint's event, results and bills together: which result is whose counts, too."""
    checksum = crc32(results, crc32(event.encode()))
    return checksum if bills is None else crc32(bills, checksum)


def outline_checksum(outline: bytes, columns: bytes | None) -> int:
    """Of a plan's outline, and above it, in 31 bits, of its columns: most read one alone."""
    return crc32(outline) | (crc32(columns or b"") & _31_BITS) << 32


def prompts_checksum(prompts: bytes) -> int:
    """Of a plan's prompts."""
    return crc32(prompts)


def is_outline(outline: bytes, checksum: int | None) -> bool:
    """Whether a plan's outline is what was written."""
    return checksum is None or crc32(outline) == checksum & 0xFFFF_FFFF


def is_outline_with_columns(outline: bytes, columns: bytes | None, checksum: int | None) -> bool:
    """Whether outline and columns are."""
    return checksum is None or outline_checksum(outline, columns) == checksum


def is_prompts(prompts: bytes | None, checksum: int | None) -> bool:
    """Whether a plan's prompts are, where they stand by themselves."""
    return prompts is None or crc32(prompts) == checksum


def is_results(event: str, results: bytes, bills: bytes | None, checksum: int | None) -> bool:
    """Whether a checkpoint's event, results and bills are."""
    return checksum is None or results_checksum(event, results, bills) == checksum
