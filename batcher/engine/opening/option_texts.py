"""The texts of a spec and its options: what is a file's, what the text itself, and what none."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import fields

from batcher.core.errors import NotAllowed, UsageError
from batcher.core.job.spec import JobSpec
from batcher.core.kind import Option, TextFile
from batcher.core.options import check_unicode, flag, is_file_name
from batcher.ports import KindRegistry

_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def check_texts(spec: JobSpec, kinds: KindRegistry) -> None:
    """Refuse texts of a spec that are none; files may be called as they like.

    Raises:
        UsageError: one is no Unicode.
    """
    for each in fields(spec):
        if each.name not in ("input", "options"):
            check_unicode(flag(_SINGULAR.get(each.name, each.name)), getattr(spec, each.name))
    for option in kinds.get(spec.kind).options:
        if option.type not in ("path", "template"):
            check_unicode(flag(option.name), spec.options.get(option.name))


_SINGULAR = {"headers": "header", "params": "param"}


def read_files(
    spec: JobSpec, kinds: KindRegistry, read_text: Callable[[str], str]
) -> dict[str, TextFile]:
    """The files that the options of a spec's kind name, by option.

    Where an option takes a text or a file, what names a file is that; the rest is the text itself,
    and so is what may not be looked for, unless it is probably a file's name.

    Raises:
        UsageError: one cannot be read, or is probably a file's name and not there.
        NotAllowed: one is probably a file's name, and may not be read here.
    """
    found: dict[str, TextFile] = {}
    for option in kinds.get(spec.kind).options:
        given = spec.options.get(option.name)
        if option.type in ("path", "template") and isinstance(given, str):
            try:
                found[option.name] = TextFile(given, read_text(given))
            except NotAllowed:
                if option.type == "path" or is_file_name(given):
                    raise
                found[option.name] = _as_text(option, given)
            except (OSError, ValueError) as error:
                may_be_text = option.type == "template" and _is_no_file(given, error)
                if not may_be_text or is_file_name(given):
                    raise _unreadable(option, given, error) from error
                found[option.name] = _as_text(option, given)
    return found


def _as_text(option: Option, given: str) -> TextFile:
    """A text that no file holds."""
    check_unicode(flag(option.name), given)
    return TextFile("", given)


def _is_no_file(given: str, error: OSError | ValueError) -> bool:
    """Whether reading failed because nothing can be, or is, at such a path."""
    if isinstance(error, OSError):
        return not given.strip() or error.errno in _NOWHERE
    return not isinstance(error, UnicodeDecodeError)  # a NUL in the name


def _unreadable(option: Option, given: str, error: OSError | ValueError) -> UsageError:
    if not isinstance(error, OSError):
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it names no file"
    else:
        why = error.strerror or str(error)
        if option.type == "template" and error.errno in _NOWHERE:
            why += "; a text instead of a file has a {{ column }} in it, or several words"
    return UsageError(f"{flag(option.name)} {given} cannot be read: {why}")
