"""Settings from a file of ``NAME=VALUE`` lines, as ``.env`` files are.

Only what the file says is set: nothing in a value is expanded, since a key may hold a ``$``. What
the environment has already stays. No message quotes a value: it may be a key.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from pathlib import Path

from batcher.core.errors import UsageError

_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}
_ESCAPED = re.compile(r"\\(.)")
_AFTER = re.compile(r"[ \t]*(?:#.*)?")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*$")


def load_env_file(path: str, environment: MutableMapping[str, str]) -> None:
    """Set what the file says, unless the environment says it already.

    Raises:
        UsageError: it cannot be read, or a line of it means nothing.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise UsageError(f"the environment file {path} cannot be read: {why}") from exc
    for name, value in read_env(text, path).items():
        environment.setdefault(name, value)


def read_env(text: str, path: str = "it") -> dict[str, str]:
    r"""The names and values of a file; the last of a name counts.

    A value in single quotes is taken to the letter, one in double quotes may hold ``\n``, ``\t``,
    ``\"`` and ``\\``; without quotes it ends before `` #``.

    Raises:
        UsageError: with the number of the line that means nothing.
    """
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        value = None if match is None else _value(match[2])
        if match is None or value is None or "\0" in value:
            raise UsageError(f"{path}:{number}: write NAME=VALUE, with matching quotes, if any")
        found[match[1]] = value
    return found


def _value(text: str) -> str | None:
    """What is meant by what stands after ``=``; None where a quote has no end."""
    if text[:1] not in ("'", '"'):
        return _COMMENT.sub("", text).rstrip()
    quote = text[0]
    inside = r"[^']*" if quote == "'" else r'(?:[^"\\]|\\.)*'
    match = re.match(f"{quote}({inside}){quote}", text)
    if match is None or not _AFTER.fullmatch(text[match.end() :]):
        return None
    if quote == "'":
        return match[1]
    return _ESCAPED.sub(lambda escaped: _ESCAPES.get(escaped[1], escaped[0]), match[1])
