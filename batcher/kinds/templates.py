"""Texts made of a row's columns: Jinja2 templates in the sandbox, or columns one after the other.

A column that is not there is an error before anything is sent. ``row`` is the whole row, for
columns whose names are no plain words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.meta import TrackingCodeGenerator

from batcher.core.errors import RowError, UsageError
from batcher.core.text import exactjson
from batcher.kinds.sandbox import TemplateEnvironment
from batcher.kinds.texts import single_braces_hint

_FAILURES = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, MemoryError,
    RuntimeError, AssertionError,
)  # fmt: skip
"""What Jinja2's filters raise of values that do not suit them; RecursionError is a RuntimeError."""
_OF_OTHER_FILES: dict[type[nodes.Node], str] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from",
    nodes.Extends: "extends",
}


class Templates:
    """The templates of one job, rendered by one thread at a time."""

    def __init__(self) -> None:
        self._environment = TemplateEnvironment()
        self._environment.policies["json.dumps_function"] = _to_json

    def add(self, flag: str, source: str) -> RowTemplate:
        """One more, which the option ``flag`` names.

        Raises:
            UsageError: its syntax is wrong, or it takes the row for a text.
        """
        return RowTemplate(self._environment, flag, source)

    def begin(self) -> None:
        """Another row, which may take as much as the one before."""
        self._environment.begin()


class RowTemplate:
    """One template.

    ``columns`` are those that it names; ``varies`` says whether it depends on the row at all;
    ``source`` is what was written.
    """

    def __init__(self, environment: TemplateEnvironment, flag: str, source: str) -> None:
        """See :meth:`Templates.add`."""
        self._flag = flag
        self.source = source
        try:
            self._read(environment, flag, source)
        except TemplateSyntaxError as error:
            raise UsageError(_what_is_wrong(flag, source, error)) from error
        except RecursionError as error:  # of a chain, which is parsed without recursion
            raise UsageError(
                f"{flag} is not a Jinja2 template: something in it is longer or deeper than Jinja2 "
                "can follow"
            ) from error

    def _read(self, environment: TemplateEnvironment, flag: str, source: str) -> None:
        tree = environment.parse(source)
        names = _Names(tree).undeclared_identifiers
        self._template = environment.from_string(source)
        for other in (node for kind in _OF_OTHER_FILES for node in tree.find_all(kind)):
            raise UsageError(
                f"{flag}, line {other.lineno}: {{% {_OF_OTHER_FILES[type(other)]} %}} takes "
                "another file, and a template is one file: put its text in here"
            )
        # They are copied for every row, and a ChainMap slowly.
        self._template.globals = dict(self._template.globals)
        columns = sorted(names - {"row"})
        if "row" in names:
            columns += _columns_of_row(flag, tree)
        self.columns = tuple(dict.fromkeys(columns))
        self.varies = bool(names)
        self._literals = "\0".join(data.data for data in tree.find_all(nodes.TemplateData))

    def render(self, record: Mapping[str, Any]) -> str:
        """The row's text.

        Raises:
            RowError: the template fails on this row, or does too much.
        """
        try:
            return self._template.render(record, row=record)
        except UndefinedError as error:
            # Jinja2's own words would quote the row where its text is looked up in something.
            missing = [repr(name) for name in self.columns if name not in record]
            what = missing[0] if missing else "something in it"
            raise RowError("template_error", f"the template fails: {what} is undefined") from error
        except _FAILURES as error:
            raise RowError(
                "template_error", f"the template fails on this row: {type(error).__name__}"
            ) from error

    def fixed_text(self) -> str:
        """What a template makes that does not depend on the row.

        Raises:
            UsageError: it fails, or makes too much.
        """
        try:
            return self._template.render()
        except RowError as error:
            raise UsageError(f"{self._flag}: {error}") from error
        except _FAILURES as error:
            raise UsageError(f"{self._flag}: the template fails: {type(error).__name__}") from error

    def single_braces_hint(self, columns: Sequence[str] | None = None) -> str:
        """See :func:`batcher.kinds.texts.single_braces_hint`."""
        return single_braces_hint(self._literals, columns)


class _Names(TrackingCodeGenerator):
    """Finds what a template takes from the row, without working out what is constant in it."""

    def __init__(self, tree: nodes.Template) -> None:
        environment = tree.environment
        assert environment is not None
        super().__init__(environment)
        self.optimizer = None
        self.visit(tree)


def how_to_name(present: Sequence[str]) -> str:
    """What to say when a column is not there, of how templates name one; empty for nothing."""
    odd = [name for name in present if not name.isidentifier()]
    return "" if present and not odd else _how_to_name(odd[0] if odd else "first name")


def _how_to_name(column: str) -> str:
    name = orjson.dumps(column).decode()
    return f"a column whose name is not a valid identifier is written {{{{ row[{name}] }}}}"


def _what_is_wrong(flag: str, source: str, error: TemplateSyntaxError) -> str:
    advice = ""
    if "expected token 'end of print statement'" in str(error.message):
        # This is what Jinja2 says of `{{ first name }}`.
        advice = f"; {_how_to_name('first name')}"
    elif "{{{" in source:
        advice = "; a brace that is text is written {{ '{' }}"
    return f"{flag} is not a Jinja2 template: line {error.lineno}: {error.message}{advice}"


def _columns_of_row(flag: str, tree: nodes.Template) -> list[str]:
    """The columns that a template takes as ``row["…"]`` or ``row.…``.

    Raises:
        UsageError: it prints the row itself, as it would a column of that name.
    """
    for printed in (node for output in tree.find_all(nodes.Output) for node in output.nodes):
        if _is_row(printed):
            raise UsageError(
                f"{flag}, line {printed.lineno}: {{{{ row }}}} is the whole row: name a column of "
                'it, as in {{ row["row"] }}'
            )
    items = [
        str(item.arg.value)
        for item in tree.find_all(nodes.Getitem)
        if _is_row(item.node) and isinstance(item.arg, nodes.Const)
    ]
    return items + [
        attribute.attr
        for attribute in tree.find_all(nodes.Getattr)
        if _is_row(attribute.node) and not hasattr(dict, attribute.attr)
    ]


def _is_row(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "row"


def _to_json(value: Any, **options: Any) -> str:
    """What ``tojson`` writes; a row may hold numbers of any size."""
    try:
        return json.dumps(value, **options)
    except (TypeError, ValueError):
        return exactjson.dumps(value)
