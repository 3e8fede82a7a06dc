"""Striking keys from what others say: a provider, a gateway, a proxy, an operating system.

A key is found however it is spelled: in another case, in JSON's, a URL's or HTML's escapes, in
base64 or hex, with blanks or invisible characters in it, and where somebody has cut it short. What
looks like anybody's key is struck as well. Nothing else is judged here.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from batcher.core.text.lenient import writable

MESSAGE_LIMIT = 500
NAME_LIMIT = 100
OTHER = "other"
"""What is told of a code that is no word."""
_STRUCK = "[key]"
_SHORTEST_KEY = 6
_LOOKED_AT = 4_096
"""Characters of a message that are read: more than are shown, for striking shortens it."""
_FRAGMENT = 12
"""So many consecutive characters of a longer key are struck even without the rest."""
_BEGINNING = 8
"""So many characters are a key's beginning, where the text ends with them."""
_ROUNDS = 3
_WORD = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_KEY = re.compile(
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_*-]{4,}"
    r"|\b(?:(?:sk|pk|rk|whsec|gsk|hf|r8|fw|ghp|gho|xai|nvapi)[_-])[A-Za-z0-9_*-]{16,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}|\bAKIA[A-Z0-9]{12,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\b(?:Bearer|Basic)\s+[\w.~+/=-]{16,}",
    re.IGNORECASE,
)
_ESCAPE = re.compile(
    r"%(?P<url>[0-9a-f]{2})|\\+u(?P<json>[0-9a-f]{4})|\\+x(?P<hex>[0-9a-f]{2})"
    r"|&\#x(?P<entity>[0-9a-f]{1,5});|&\#(?P<decimal>[0-9]{1,6});|&(?P<named>amp|lt|gt|quot|apos);"
    r"|\\+[nrt]",
    re.IGNORECASE,
)
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_SCHEMES = frozenset({"bearer", "basic", "token", "apikey", "api-key", "digest"})


def redact(message: str, secrets: Sequence[str] = (), *, limit: int = MESSAGE_LIMIT) -> str:
    """The message without keys, on one line, at most ``limit`` characters that any database takes.

    What is shorter than a word is no key but a stand-in for one (``x``, ``none``), and stays.
    """
    message = _strike(" ".join(message.split())[:_LOOKED_AT], tuple(secrets))
    message = _KEY.sub(_STRUCK, writable(message).replace("\x00", "\ufffd"))
    return message if len(message) <= limit else message[: limit - 1] + "…"


def told_code(code: str, secrets: Sequence[str] = ()) -> str:
    """A code, type or reason as it may be told: a word without a key in it, else ``other``.

    An empty one stays.
    """
    return _told_code(code, tuple(secrets)) if code else ""


def told_name(name: str, secrets: Sequence[str] = ()) -> str:
    """The name of something, such as a model or a parameter: no key, at most 100 characters."""
    return _told_name(name, tuple(secrets))


@lru_cache(maxsize=1_024)
def _told_code(code: str, secrets: tuple[str, ...]) -> str:
    return code if _WORD.fullmatch(code) and redact(code, secrets) == code else OTHER


@lru_cache(maxsize=1_024)
def _told_name(name: str, secrets: tuple[str, ...]) -> str:
    return redact(name, secrets, limit=NAME_LIMIT)


# --- finding keys -----------------------------------------------------------------------------


def _strike(text: str, secrets: tuple[str, ...]) -> str:
    windows, forms = _needles(secrets)
    if not windows or (text.isascii() and not _ESCAPE.search(text) and _is_free(text, secrets)):
        return text
    characters = [(character, at, at + 1) for at, character in enumerate(text)]
    found: list[tuple[int, int]] = []
    for _ in range(_ROUNDS):
        found += _occurrences(characters, windows, forms)
        decoded = _decoded(characters)
        if decoded is None:
            break
        characters = decoded
    return _replaced(text, found) if found else text


def _is_free(text: str, secrets: tuple[str, ...]) -> bool:
    """Whether plain ASCII holds no key: what nearly all messages are, without a map of them."""
    windows, forms = _needles(secrets)
    skeleton = text.translate(_IGNORED_ASCII).lower()
    for size, pieces in windows.items():
        # Every so many characters are looked at: one such sample lies within any piece.
        step = size // 2
        samples = _samples(pieces, step)
        if any(skeleton[at : at + step] in samples for at in range(0, len(skeleton), step)):
            return False
    return not any(_endings(skeleton, forms))


def _endings(skeleton: str, forms: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where a key begins that the end of the text cuts off."""
    end = len(skeleton.rstrip(_CUT))
    for form in forms:
        at = skeleton.find(form[:_BEGINNING])
        while 0 <= at <= end - _BEGINNING:
            if form.startswith(skeleton[at:end]):
                yield at, end
            at = skeleton.find(form[:_BEGINNING], at + 1)


_CUT = ".…\"')]}"
_Characters = list[tuple[str, int, int]]
"""Characters, each with where it stands in the original text: from, to."""


def _occurrences(
    characters: _Characters, windows: dict[int, frozenset[str]], forms: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """Where keys, or parts of them, stand in the original text."""
    folded = [
        (part, start, end)
        for character, start, end in characters
        if not _is_ignored(character)
        for part in _folded(character)
    ]
    skeleton = "".join(part for part, _, _ in folded)
    for size, pieces in windows.items():
        for at in range(len(skeleton) - size + 1):
            if skeleton[at : at + size] in pieces:
                yield folded[at][1], folded[at + size - 1][2]
    for at, end in _endings(skeleton, forms):
        yield folded[at][1], folded[end - 1][2]


def _decoded(characters: _Characters) -> _Characters | None:
    """The characters that escapes stand for, in place of these; None where there are no escapes."""
    text = "".join(character for character, _, _ in characters)
    decoded: _Characters = []
    at = 0
    for match in _ESCAPE.finditer(text):
        decoded += characters[at : match.start()]
        start, end = characters[match.start()][1], characters[match.end() - 1][2]
        decoded.append((_meaning(match), start, end))
        at = match.end()
    return None if at == 0 else decoded + characters[at:]


def _meaning(match: re.Match[str]) -> str:
    named = match["named"]
    if named is not None:
        return _NAMED[named.lower()]
    digits = match["url"] or match["json"] or match["hex"] or match["entity"]
    if digits is not None:
        return chr(int(digits, 16))
    decimal = match["decimal"]
    return " " if decimal is None else chr(min(int(decimal), 0x10FFFF))


def _replaced(text: str, spans: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    at = 0
    for start, end in sorted(spans):
        if start >= at:  # one that overlaps the last, or touches it, is part of it
            if start > at or not parts:
                parts += [text[at:start], _STRUCK]
            at = end
        else:
            at = max(at, end)
    return "".join([*parts, text[at:]])


# --- what a key may look like -----------------------------------------------------------------


@lru_cache(maxsize=64)
def _needles(secrets: tuple[str, ...]) -> tuple[dict[int, frozenset[str]], tuple[str, ...]]:
    """Pieces of keys by their length, and keys whose beginning tells them; all of them folded."""
    windows: dict[int, set[str]] = {}
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= _SHORTEST_KEY}
    for form in forms:
        window = _FRAGMENT if len(form) >= _FRAGMENT + 4 else len(form)
        for at in range(len(form) - window + 1):
            windows.setdefault(window, set()).add(form[at : at + window])
    telling = tuple(sorted(form for form in forms if len(form) > _BEGINNING))
    return {size: frozenset(pieces) for size, pieces in windows.items()}, telling


@lru_cache(maxsize=64)
def _samples(pieces: frozenset[str], size: int) -> frozenset[str]:
    """All that stands anywhere in the pieces, at this length."""
    return frozenset(
        piece[at : at + size] for piece in pieces for at in range(len(piece) - size + 1)
    )


def _forms(secret: str) -> Iterator[str]:
    for part in dict.fromkeys((secret.strip(), *_parts(secret))):
        if len(part) < _SHORTEST_KEY:
            continue
        raw = part.encode("utf-8", "surrogatepass")
        yield _skeleton(part)
        yield raw.hex()
        for code in _base64s(raw):
            yield _skeleton(code)


def _parts(secret: str) -> Iterator[str]:
    """The credential of ``Bearer …``, and the password of ``Basic …``."""
    for part in secret.split():
        if part.lower() not in _SCHEMES:
            yield part
            try:
                decoded = base64.b64decode(part, validate=True).decode("utf-8")
            except (binascii.Error, ValueError):
                continue
            if ":" in decoded and decoded.isprintable():
                yield decoded
                yield decoded.partition(":")[2]


def _base64s(raw: bytes) -> Iterator[str]:
    """Base64 of anything that holds these bytes: as far as they alone decide it."""
    for before in range(3):
        code = base64.b64encode(bytes(before) + raw)
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        code = code[first:last]
        yield code.decode("ascii")
        yield code.translate(bytes.maketrans(b"+/", b"-_")).decode("ascii")


def _skeleton(text: str) -> str:
    return "".join(_folded(character) for character in text if not _is_ignored(character))


@lru_cache(maxsize=4_096)
def _folded(character: str) -> str:
    return unicodedata.normalize("NFKC", character).casefold()


@lru_cache(maxsize=4_096)
def _is_ignored(character: str) -> bool:
    """Blanks, backslashes, and what is not seen: a key may be broken by them."""
    return character == "\\" or unicodedata.category(character) in _UNSEEN


_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_IGNORED_ASCII = {code: None for code in range(128) if _is_ignored(chr(code))}
