"""Checking a kind's options: one function, so that every kind's errors read alike."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.kind import Option, TextFile

_TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "path": (TextFile,),
    "int": (int,),
    "float": (int, float),
    "flag": (bool,),
    "list": (str, list, tuple),
    "columns": (str, list, tuple),
    "template": (TextFile, str),
}
_CALLED = {"template": "text", "columns": "text"}
_MOST = 2**63 - 1
"""What fits everywhere that a whole number goes."""


def read_options(kind: str, declared: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared option with its value or default; a list as a tuple of texts.

    Raises:
        UsageError: an option is unknown, of the wrong type, too low, or not one of its choices.
    """
    names = {option.name for option in declared}
    if unknown := sorted(name for name, value in given.items() if name not in names):
        known = ", ".join(flag(name) for name in sorted(names))
        raise UsageError(f"{kind} has no option {flag(unknown[0])}; it has {known}")
    values: dict[str, Any] = {}
    for option in declared:
        value = given.get(option.name)
        values[option.name] = value = option.default if value is None else value
        if value is not None:
            _check(option, value)
            if option.type == "list":
                values[option.name] = _texts(option, value)
            elif option.type == "columns":
                values[option.name] = _columns(option, value)
    return values


def _check(option: Option, value: Any) -> None:
    name = flag(option.name)
    wrong = not isinstance(value, _TYPES[option.type])
    if wrong or (option.type != "flag" and isinstance(value, bool)):
        called = _CALLED.get(option.type, option.type)
        raise UsageError(f"{name} takes {called}, not {value!r}")
    if option.choices and value not in option.choices:
        raise UsageError(f"{name} is one of {', '.join(option.choices)}, not {value!r}")
    if option.at_least is not None and not value >= option.at_least:
        raise UsageError(f"{name} must be at least {option.at_least}, not {value}")
    if isinstance(value, int) and value > _MOST:
        raise UsageError(f"{name} must be at most {_MOST}")


def _texts(option: Option, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return read_record(flag(option.name), value)
    if wrong := [item for item in value if not isinstance(item, str)]:
        raise UsageError(f"{flag(option.name)} is a list of texts, and {wrong[0]!r} is not a text")
    return tuple(value)


def _columns(option: Option, value: Any) -> tuple[str, ...]:
    """The names of columns; a text is one name, whatever is in it."""
    columns = (value,) if isinstance(value, str) else _texts(option, value)
    name = flag(option.name)
    if not columns or not all(columns):
        raise UsageError(f"{name} is empty: it names a column")
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise UsageError(f"{name} names the column {twice!r} twice")
    return columns


_FILE_NAME = re.compile(
    r"\S*[/\\]\S*|\S+\.[A-Za-z0-9_]{1,8}|\S.*\.(?:j2|jinja2?|txt|md|prompt|te?mpl|tpl)",
    re.IGNORECASE,
)


def is_file_name(text: str) -> bool:
    """Whether a text that names no file was probably meant to: by its suffix, or a slash in it."""
    return "{" not in text and _FILE_NAME.fullmatch(text) is not None


def read_record(name: str, text: str) -> tuple[str, ...]:
    """A text as one CSV record: fields between commas, in quotes where they hold one.

    Raises:
        UsageError: it is no record; ``name`` says whose.
    """
    try:
        records = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UsageError(
            f'{name} is not one line of CSV ({error}): write "a, b" for a text '
            'that holds a comma, and "" for a quote in it'
        ) from error
    return tuple(records[0]) if records else ()


def write_record(texts: Sequence[str]) -> str:
    """The reverse of :func:`read_record`."""
    quoted = [
        '"' + text.replace('"', '""') + '"'
        if _QUOTED.intersection(text) or text[:1] == " "
        else text
        for text in texts
    ]
    return ",".join(quoted)


_QUOTED = frozenset(',"\r\n')


def is_unicode(text: str) -> bool:
    """Whether a text is one: what is no UTF-8 on a command line comes as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_unicode(name: str, value: object) -> None:
    """Refuse texts that cannot be sent, also within lists and objects.

    Raises:
        UsageError: one is no Unicode; ``name`` says whose.
    """
    if isinstance(value, str):
        if not is_unicode(value):
            raise UsageError(f"{name} is not text: {value!r} is not UTF-8")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_unicode(name, key)
            check_unicode(name, item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_unicode(name, item)


def require_one(kind: str, values: Mapping[str, Any], *names: str) -> str:
    """The one option of ``names`` that is given.

    Raises:
        UsageError: none is, or more than one.
    """
    given = [name for name in names if values[name] is not None]
    if len(given) == 1:
        return given[0]
    flags = " or ".join(flag(name) for name in names)
    if not given:
        raise UsageError(f"{kind} needs {flags}")
    raise UsageError(f"{kind} takes only one of {flags}")


def option_keys(option: Option) -> set[str]:
    """The names that an option has in files: its own, and that of one item of it."""
    return {option.name} if option.item is None else {option.name, option.item}


def flag(name: str) -> str:
    """An option's name as the command line has it: ``--labels-file`` for ``labels_file``."""
    return "--" + name.replace("_", "-")
