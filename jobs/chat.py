"""``chat``: one answer to a prompt made of each row.

Prompts are Jinja2 templates over the row's columns, in a sandbox; a column that is not there is an
error before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from jinja2 import Environment, StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from batcher.core.answers import Completion, read_completion
from batcher.core.errors import RowError, UsageError
from batcher.core.kind import Done, Endpoint, Field, Invalid, Option, Outcome, Overlong, Shape
from batcher.core.model import Prompt
from batcher.core.options import read_options


class Chat:
    """The kind ``chat``."""

    name = "chat"
    version = 1
    summary = "One chat answer for each row."
    example = "--prompt answer.j2"
    options = (
        Option(name="prompt", help="Jinja2 template of the prompt, like {{ body }}.", type="path"),
        Option(name="system", help="Jinja2 template of the system message.", type="path"),
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
    fields = (Field(name="output", type="text"), Field(name="finish_reason", type="text"))

    def __init__(self, *, prompt: str, system: str | None, max_tokens: int | None) -> None:
        """Template sources."""
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False
        )
        self._prompt, columns = _compile(environment, "--prompt", prompt)
        self._system: Template | None = None
        self._fixed_system: str | None = None
        if system is not None:
            template, system_columns = _compile(environment, "--system", system)
            columns += system_columns
            if system_columns:
                self._system = template
            else:
                self._fixed_system = template.render()
        self.columns = tuple(dict.fromkeys(columns))
        self.max_output_tokens = max_tokens
        self.fixed_texts = () if self._fixed_system is None else (self._fixed_system,)
        self.identity = {"prompt": prompt, "system": system, "max_tokens": max_tokens}

    def render(self, record: Mapping[str, Any]) -> Prompt:
        """The prompt, after the system message where that speaks of the row."""
        try:
            prompt = self._prompt.render(record)
            if not prompt.strip():
                return ("",)
            if self._system is not None:
                return (self._system.render(record), prompt)
            return (prompt,)
        except TemplateError as error:
            raise RowError("template_error", f"the template fails: {error.message}") from error
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise RowError(
                "template_error", f"the template fails on this row: {type(error).__name__}"
            ) from error

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
        """The text; one that was cut off says so in ``finish_reason``."""
        del count  # always one
        completion = read_completion(answer)
        if not isinstance(completion, Completion):
            return [completion]
        result: dict[str, Any] = {"output": completion.text}
        if completion.finish_reason == "length":
            result["finish_reason"] = "length"
        return [Done(orjson.dumps(result))]


def _compile(environment: Environment, flag: str, source: str) -> tuple[Template, list[str]]:
    """The template and the columns that it names.

    Raises:
        UsageError: its syntax is wrong.
    """
    try:
        columns = sorted(meta.find_undeclared_variables(environment.parse(source)))
        template = environment.from_string(source)
        template.globals = dict(template.globals)  # copied for every row, and a ChainMap slowly
        return template, columns
    except TemplateError as error:
        raise UsageError(f"{flag} is no Jinja2 template: {error}") from error


KIND = Chat()
