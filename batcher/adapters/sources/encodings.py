"""Text that is not UTF-8: which encoding it probably has, and the same as UTF-8.

Only these are guessed: UTF-16 and UTF-32, which mark themselves, and Windows-1252, in which
spreadsheets of western languages export. A guess needs evidence: text in which most of what is not
ASCII would be no letter or mark of these languages, or stands in runs as other scripts do, is not
guessed at.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

from batcher.core.errors import InputError, UsageError

UTF8: Final = "utf-8"
WINDOWS_1252: Final = "cp1252"
_UTF8_NAMES: Final = frozenset({"utf-8", "utf-8-sig"})
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip
_SHOWN: Final = {"cp1252": "Windows-1252 (cp1252)"}
_SAMPLE_BYTES: Final = 4_096
_MOST_ZEROS, _FEWEST_ZEROS = 0.02, 0.4
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_USUAL: Final = bytes({*range(0xC0, 0xFE)} - {0xD7, 0xF7} | {*range(0x91, 0x98)}) + (
    b"\x80\x85\x99\xa0\xa1\xa3\xa7\xa9\xaa\xab\xad\xae\xb0\xb4\xb7\xba\xbb\xbd\xbf"
)
"""Letters of western languages in Windows-1252, its quotes and dashes, and a few other marks."""
_UNDEFINED: Final = b"\x81\x8d\x8f\x90\x9d\xff"
_USUAL_SHARE = 0.9
_MOST_A_RUN = 1.6
_BROKEN_A_WHOLE = 20


class NotUtf8(Exception):
    """The text is not UTF-8, and nobody has said what it is."""


def read_encoding(name: str) -> str:
    """The codec that an encoding's name means.

    Raises:
        UsageError: none of text.
    """
    try:
        codec = codecs.lookup(name)
        if not codec._is_text_encoding:
            raise LookupError
    except (LookupError, ValueError) as exc:
        raise UsageError(
            f"--encoding {name!r} is not an encoding of text; "
            "some are utf-8, utf-16, cp1252, latin-1"
        ) from exc
    return UTF8 if codec.name in _UTF8_NAMES else codec.name


def marked_encoding(start: bytes) -> str | None:
    """The encoding that the beginning of a text shows by itself; None where it shows none."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    sample = start[:_SAMPLE_BYTES]
    if len(sample) < 4:
        return None
    even, odd = (sample[at::2].count(0) / len(sample[at::2]) for at in (0, 1))
    if even < _MOST_ZEROS and odd > _FEWEST_ZEROS:
        return "utf-16-le"
    return "utf-16-be" if odd < _MOST_ZEROS and even > _FEWEST_ZEROS else None


def is_windows_1252(blocks: Iterable[bytes]) -> bool:
    """Whether a text that is not UTF-8 is one of a western language in Windows-1252."""
    whole = broken = size = usual = 0
    for run in _high_runs(blocks):
        try:
            run.decode()
        except UnicodeDecodeError:
            broken += 1
            size += len(run)
            usual += len(run) - len(run.translate(None, _USUAL))
            if len(run.translate(None, _UNDEFINED)) < len(run):
                return False
        else:
            whole += 1
    return (
        broken > 0
        and whole * _BROKEN_A_WHOLE <= broken
        and size <= _MOST_A_RUN * broken
        and usual >= _USUAL_SHARE * size
    )


def _high_runs(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The runs of bytes that are not ASCII."""
    rest = b""
    for block in blocks:
        text = rest + block
        end = len(text)
        while end and text[end - 1] >= 0x80 and len(text) - end < _SAMPLE_BYTES:
            end -= 1
        rest = text[end:]
        yield from _HIGH.findall(text[:end])
    if rest:
        yield rest


def checked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks, as long as they are UTF-8.

    Raises:
        NotUtf8: they are not.
    """
    decoder: codecs.IncrementalDecoder | None = None
    for block in blocks:
        if decoder is not None or not block.isascii():
            decoder = decoder or codecs.getincrementaldecoder(UTF8)()
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                raise NotUtf8 from None
            if not decoder.getstate()[0]:
                decoder = None
        yield block


def as_utf8(blocks: Iterable[bytes], encoding: str, *, source: str) -> Iterator[bytes]:
    """The text in UTF-8.

    Raises:
        InputError: it does not have that encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    for block in blocks:
        yield (text := _decoded(decoder, block, encoding, source, line, final=False)).encode()
        line += text.count("\n")
    yield _decoded(decoder, b"", encoding, source, line, final=True).encode()


def _decoded(
    decoder: codecs.IncrementalDecoder, block: bytes, encoding: str, source: str, line: int,
    *, final: bool,
) -> str:  # fmt: skip
    try:
        return decoder.decode(block, final)
    except UnicodeError as exc:
        before = exc.object[: exc.start] if isinstance(exc, UnicodeDecodeError) else b""
        at = line + before.decode(encoding, "replace").count("\n")
        raise InputError(
            f"the text is not {encoding}: give its --encoding, or save the file as UTF-8",
            source=source,
            line=at,
        ) from exc


def note_of(encoding: str) -> str:
    """What to say of a guess."""
    shown = _SHOWN.get(encoding, encoding.upper())
    return f"is not UTF-8 and is read as {shown}; --encoding gives another"
