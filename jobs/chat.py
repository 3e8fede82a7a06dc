"""``chat``: one answer to a prompt made of each row.

Prompts are Jinja2 templates over the row's columns, in a sandbox; a column that is not there is an
error before anything is sent. ``row`` is the whole row, for columns whose names are no plain words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from jinja2 import (
    Environment,
    Template,
    TemplateError,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
)

from batcher.core import exactjson
from batcher.core.answers import Completion, read_completion
from batcher.core.errors import RowError, UsageError
from batcher.core.kind import Done, Endpoint, Field, Invalid, Option, Outcome, Overlong, Shape
from batcher.core.model import Prompt
from batcher.core.options import read_options
from batcher.kinds.sandbox import TemplateEnvironment

_FAILURES = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, MemoryError,
    RecursionError,
)  # fmt: skip
_NO_ANSWER = (
    "the model reasoned and gave no answer (or its server takes the answer for reasoning: see how "
    "it parses that)"
)


_OF_OTHER_FILES: dict[type[nodes.Node], str] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from",
    nodes.Extends: "extends",
}


class Chat:
    """The kind ``chat``."""

    name = "chat"
    version = 2
    summary = "One chat answer for each row."
    example = "--prompt answer.j2"
    options = (
        Option(
            name="prompt",
            help='Jinja2 template of the prompt: {{ body }}, or {{ row["first name"] }} for a '
            "column whose name is no plain word.",
            type="path",
        ),
        Option(name="system", help="Jinja2 template of the system message, likewise.", type="path"),
        Option(name="max_tokens", help="Limit of tokens for an answer.", type="int", at_least=1),
    )

    def bind(self, options: Mapping[str, Any]) -> BoundChat:
        """Check the options and the templates.

        Raises:
            UsageError: no prompt, or a template whose syntax is wrong.
        """
        values = read_options(self.name, self.options, options)
        if values["prompt"] is None:
            raise UsageError("chat needs --prompt FILE")
        system = values["system"]
        return BoundChat(
            prompt=values["prompt"].text,
            system=None if system is None else system.text,
            max_tokens=values["max_tokens"],
        )


class BoundChat:
    """``chat`` with its options: see :class:`batcher.core.kind.BoundKind`."""

    endpoint = Endpoint.CHAT
    shape = Shape.JSON
    packs = False
    overlong = Overlong.ERROR
    optional_parameters: frozenset[str] = frozenset()
    fields: tuple[Field, ...] = (
        Field(name="output", type="text"),
        Field(name="finish_reason", type="text"),
    )

    def __init__(self, *, prompt: str, system: str | None, max_tokens: int | None) -> None:
        """Template sources."""
        self._environment = environment = TemplateEnvironment()
        environment.policies["json.dumps_function"] = _to_json
        self._prompt, columns, _ = _compile(environment, "--prompt", prompt)
        self._system: Template | None = None
        self._fixed_system: str | None = None
        if system is not None:
            template, more, varies = _compile(environment, "--system", system)
            columns += more
            if varies:
                self._system = template
            else:
                self._fixed_system = _fixed_text("--system", template)
        self.columns = tuple(dict.fromkeys(columns))
        self.max_output_tokens = max_tokens
        self.fixed_texts = () if self._fixed_system is None else (self._fixed_system,)
        self.identity = {"prompt": prompt, "system": system, "max_tokens": max_tokens}
        self._asks_for_tools = False

    def seeing(self, parameters: Mapping[str, Any]) -> BoundChat:
        """See :class:`batcher.core.kind.SeesParameters`: tools add a field to the result."""
        if any(parameters.get(name) for name in ("tools", "functions")):
            self._asks_for_tools = True
            self.fields = (*BoundChat.fields, Field(name="tool_calls", type="json"))
        return self

    def render(self, record: Mapping[str, Any]) -> Prompt:
        """The prompt, after the system message where that speaks of the row."""
        self._environment.begin()
        try:
            prompt = self._prompt.render(record, row=record)
            if not prompt.strip():
                return ("",)
            if self._system is not None:
                return (self._system.render(record, row=record), prompt)
            return (prompt,)
        except UndefinedError as error:
            # Jinja2's own words would quote the row where its text is looked up in something.
            missing = [repr(name) for name in self.columns if name not in record]
            what = missing[0] if missing else "something in it"
            raise RowError("template_error", f"the template fails: {what} is undefined") from error
        except _FAILURES as error:
            raise RowError(
                "template_error", f"the template fails on this row: {type(error).__name__}"
            ) from error

    def how_to_name(self, present: Sequence[str]) -> str:
        """See :class:`batcher.core.kind.NamesColumns`."""
        odd = [name for name in present if not name.isidentifier()]
        return "" if present and not odd else _how_to_name(odd[0] if odd else "first name")

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        """System and user message."""
        del repair  # free text is never invalid
        (*system, user) = prompts[0]
        if self._fixed_system is not None:
            system = [self._fixed_system]
        messages = [{"role": "system", "content": text} for text in system]
        messages.append({"role": "user", "content": user})
        body: dict[str, Any] = {"messages": messages}
        if self.max_output_tokens is not None:
            body["max_tokens"] = self.max_output_tokens
        return body

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        """The text; why it ended stands in ``finish_reason``, unless the model was done.

        Tools that are called are a result where tools were asked for.
        """
        del count  # always one
        completion = read_completion(answer)
        if not isinstance(completion, Completion):
            return [completion]
        called = completion.tool_calls if self._asks_for_tools else ()
        if completion.reasoned and not completion.tool_calls:
            return [Invalid("no_answer", _NO_ANSWER, "")]
        result: dict[str, Any] = {"output": completion.text}
        if called:
            result["tool_calls"] = called
        elif completion.tool_calls and not completion.text:
            result["finish_reason"] = "tool_calls"
        if not completion.is_whole and not (called and completion.finish_reason == "tool_calls"):
            result["finish_reason"] = completion.finish_reason
        return [Done(orjson.dumps(result))]


def _to_json(value: Any, **options: Any) -> str:
    """What ``tojson`` writes; a row may hold numbers of any size."""
    try:
        return json.dumps(value, **options)
    except (TypeError, ValueError):
        return exactjson.dumps(value)


def _compile(environment: Environment, flag: str, source: str) -> tuple[Template, list[str], bool]:
    """The template, the columns that it names, and whether it depends on the row at all.

    Raises:
        UsageError: its syntax is wrong, or it takes the row for a text.
    """
    try:
        tree = environment.parse(source)
        names = meta.find_undeclared_variables(tree)
        template = environment.from_string(source)
    except TemplateSyntaxError as error:
        # This is what Jinja2 says of `{{ first name }}`.
        two_words = "expected token 'end of print statement'" in str(error.message)
        advice = f"; {_how_to_name('first name')}" if two_words else ""
        raise UsageError(
            f"{flag} is no Jinja2 template: line {error.lineno}: {error.message}{advice}"
        ) from error
    for other in (node for kind in _OF_OTHER_FILES for node in tree.find_all(kind)):
        raise UsageError(
            f"{flag}, line {other.lineno}: {{% {_OF_OTHER_FILES[type(other)]} %}} takes another "
            "file, and a template is one file: put its text in here"
        )
    template.globals = dict(template.globals)  # copied for every row, and a ChainMap slowly
    columns = sorted(names - {"row"})
    if "row" in names:
        columns += _columns_of_row(flag, tree)
    return template, columns, bool(names)


def _fixed_text(flag: str, template: Template) -> str:
    """What a template makes that speaks of no row.

    Raises:
        UsageError: it fails, or makes too much.
    """
    try:
        return template.render()
    except RowError as error:
        raise UsageError(f"{flag}: {error}") from error
    except _FAILURES as error:
        raise UsageError(f"{flag}: the template fails: {type(error).__name__}") from error


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


def _how_to_name(column: str) -> str:
    name = orjson.dumps(column).decode()
    return f"a column whose name is no plain word is written {{{{ row[{name}] }}}}"


KIND = Chat()
