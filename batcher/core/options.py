"""Checking a kind's options: one function, so that every kind's errors read alike."""

from __future__ import annotations

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
}


def read_options(kind: str, declared: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared option with its value or default.

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
    return values


def _check(option: Option, value: Any) -> None:
    name = flag(option.name)
    wrong = not isinstance(value, _TYPES[option.type])
    if wrong or (option.type != "flag" and isinstance(value, bool)):
        raise UsageError(f"{name} takes {option.type}, not {value!r}")
    if option.choices and value not in option.choices:
        raise UsageError(f"{name} is one of {', '.join(option.choices)}, not {value!r}")
    if option.at_least is not None and not value >= option.at_least:
        raise UsageError(f"{name} must be at least {option.at_least}, not {value}")


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


def flag(name: str) -> str:
    """An option's name as the command line has it: ``--labels-file`` for ``labels_file``."""
    return "--" + name.replace("_", "-")
