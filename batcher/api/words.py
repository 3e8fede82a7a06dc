"""The words of whoever calls from Python: keywords, where messages say flags of the command line.

Messages are made where something is wrong, by what the command line and Python have in common, and
say flags. On their way out to a caller they are said in keywords: ``--base-url`` is ``base_url``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.core.errors import BatcherError, UsageError
from batcher.core.job.spec import JobSpec
from batcher.core.text.near import is_request_parameter, meant

if TYPE_CHECKING:
    from batcher.engine.job.report import Report

FIELDS = frozenset(field.name for field in dataclasses.fields(JobSpec))
OF_CALLS = frozenset(
    {"output", "output_format", "csv_safe", "failed_rows", "fresh", "overwrite", "progress"}
)
"""What a call takes besides the job."""
_SWITCHES = frozenset({"fresh", "overwrite", "csv_safe", "constant_prompt", "simulate"}) | {
    field.name for field in dataclasses.fields(JobSpec) if isinstance(field.default, bool)
}
_SPELLED = {
    "db": "settings=batcher.Settings(database_url=…)",
    "no_keep_input": "keep_input=False",
    "header": "headers",
    "param": "params",
    "label": "labels",
}
_COMMAND = r"`[^`]*`"
_NAMED = (
    r"--(?P<table>param|header) (?:'(?P<header>[A-Za-z][\w-]*): (?P<secret>[^']+)'"
    r"|(?P<entry>[A-Za-z][\w-]*)(?:=(?P<said>[^\s';,]+))?)"
)
_FLAG = (
    r"--(?P<name>[a-z][a-z0-9-]*)"
    r"(?:[ ](?P<value>[A-Z]{2,}(?:[,|][A-Z]+)*(?![\w.])|[A-Z],[A-Z]\b|\d+\b"
    r"|(?:skip|null|split|cut|replay)\b))?"
)
_WORDS = re.compile(rf"(?P<command>{_COMMAND})|(?<![\w-])(?:{_NAMED}|{_FLAG})")
_SAME = (("the same command", "the same call"), ("The same command", "The same call"))


def in_python(text: str) -> str:
    """A message in the words of Python; commands in backquotes stay as they are."""
    for said, better in _SAME:
        text = text.replace(said, better)
    return _WORDS.sub(_said, text)


def _said(match: re.Match[str]) -> str:
    if match["command"]:
        return match["command"]
    if match["table"]:
        entry, said = match["header"] or match["entry"], match["secret"] or match["said"]
        table = _SPELLED[match["table"]]
        return f'{table}["{entry}"]' if said is None else f'{table}={{"{entry}": "{said}"}}'
    name, value = match["name"].replace("-", "_"), match["value"]
    if name in _SWITCHES:
        return f"{name}=True" + ("" if value is None else f" {value}")
    word = _SPELLED.get(name, name)
    if value is None or word != name:
        return word + ("" if value is None else f" {value}")
    return f"{name}={value}" if value.isdigit() else f'{name}="{value}"'


def check_choice(name: str, given: object, choices: Collection[object]) -> None:
    """Refuse a value that is none of the choices.

    Raises:
        UsageError: with all of them.
    """
    if not any(given is choice or given == choice for choice in choices):
        listed = ", ".join(repr(choice) for choice in choices)
        raise UsageError(f"{name} is one of {listed}, not {given!r}")


@contextmanager
def python_words() -> Iterator[None]:
    """What is raised on purpose, in the words of Python."""
    try:
        yield
    except BatcherError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise


def worded(report: Report) -> Report:
    """A report whose reason and notes are in the words of Python."""
    reason = None if report.reason is None else in_python(report.reason)
    notes = tuple(in_python(note) for note in report.notes)
    if (reason, notes) == (report.reason, report.notes):
        return report
    return dataclasses.replace(report, reason=reason, notes=notes)


def check_names(
    kind: object, given: object, job: Mapping[str, Any], kinds: Callable[[], InstalledKinds]
) -> None:
    """Refuse a keyword that is no setting and no option of the kind, then what is missing.

    Raises:
        UsageError: with what was probably meant.
    """
    if kind is not None and not isinstance(kind, str):
        raise UsageError(
            f'the kind comes first, then the input: batcher.run("chat", …), and the kind is a '
            f"text, not of type {type(kind).__name__}"
        )
    if kind:
        options = {option.name for option in kinds().get(kind).options}
        for name in job:
            if name not in FIELDS and name not in options:
                raise UsageError(f"{kind} has no option {name}{_hint(name, options, job)}")
    if given is None:
        raise UsageError("the input is missing: give a path, a list of dicts or a table")
    if not job.get("model"):
        raise UsageError('model is missing: give its name, as in model="gpt-6-luna"')


def _hint(name: str, options: Collection[str], job: Mapping[str, Any]) -> str:
    if is_request_parameter(name):
        return f'; a parameter of the requests is params={{"{name.lower()}": …}}'
    left = {*options, *FIELDS, *OF_CALLS} - set(job) - {"kind", "input", "options"}
    if known := meant(name, left):
        return f" (did you mean {known}?)"
    return f"; it has {', '.join(sorted(options))}"
