"""``chat``: one answer to a prompt made of each row.

Prompts are Jinja2 templates over the row's columns, in a sandbox
(:mod:`batcher.kinds.templates`), or the row's text as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batcher.core.answerbound import AnswerBound, bound_of_format
from batcher.core.answers import Completion, read_completion
from batcher.core.errors import UsageError
from batcher.core.kind import (
    Done,
    Endpoint,
    Field,
    Invalid,
    Option,
    Outcome,
    Overlong,
    TextFile,
)
from batcher.core.model import Prompt
from batcher.core.options import read_options, require_one
from batcher.kinds.texts import TEXT, ColumnsText

if TYPE_CHECKING:
    from batcher.kinds.templates import RowTemplate

_NO_ANSWER = (
    "the model reasoned and gave no answer (or its server took the answer for reasoning: check "
    "its reasoning parser)"
)


class Chat:
    """The kind ``chat``."""

    name = "chat"
    version = 2
    summary = "One chat answer for each row."
    example = "--prompt 'Answer in one sentence: {{ body }}'"
    options = (
        Option(
            name="prompt",
            help="The prompt: a Jinja2 template, 'Solve: {{ question }}', or the file that holds "
            'one; {{ row["first name"] }} for a column whose name is not a valid identifier.',
            type="template",
            metavar="TEXT|FILE",
        ),
        replace(TEXT, help="Column whose text is the prompt, instead; repeated, several columns."),
        Option(
            name="system",
            help="The system message: a text, a template, or the file that holds it.",
            type="template",
            metavar="TEXT|FILE",
        ),
        Option(name="max_tokens", help="Limit of tokens for an answer.", type="int", at_least=1),
        Option(
            name="constant_prompt",
            help="Send a prompt that uses no column, the same for every row.",
            type="flag",
            default=False,
        ),
    )

    def bind(self, options: Mapping[str, Any]) -> BoundChat:
        """Check the options and the templates.

        Raises:
            UsageError: no prompt, or a template whose syntax is wrong.
        """
        values = read_options(self.name, self.options, options)
        source: TextFile | ColumnsText
        if require_one(self.name, values, "prompt", "text") == "text":
            source = ColumnsText(values["text"])
        else:
            source = _as_file(values["prompt"])
        system = values["system"]
        return BoundChat(
            prompt=source,
            system=None if system is None else _as_file(system).text,
            max_tokens=values["max_tokens"],
            constant=values["constant_prompt"],
        )


class BoundChat:
    """``chat`` with its options: see :class:`batcher.core.kind.BoundKind`."""

    endpoint = Endpoint.CHAT
    packs = False
    overlong = Overlong.ERROR
    optional_parameters: frozenset[str] = frozenset()
    fields: tuple[Field, ...] = (
        Field(name="output", type="text"),
        Field(name="finish_reason", type="text"),
    )

    def __init__(
        self,
        *,
        prompt: TextFile | ColumnsText,
        system: str | None,
        max_tokens: int | None,
        constant: bool = False,
    ) -> None:
        """``prompt`` is a template or the row's text, ``system`` the source of a template.

        ``constant``: the prompt may be the same for every row.
        """
        from batcher.kinds.templates import Templates  # Jinja2 takes a while to import

        self._constant = constant
        self._templates = Templates()
        self._from_file = False
        self._prompt: RowTemplate | ColumnsText
        self.identity: Mapping[str, Any]
        if isinstance(prompt, ColumnsText):
            self._prompt = prompt
            self.identity = {"text": prompt.names, "system": system, "max_tokens": max_tokens}
        else:
            self._from_file = bool(prompt.path)
            self._prompt = self._templates.add("--prompt", prompt.text)
            self.identity = {"prompt": prompt.text, "system": system, "max_tokens": max_tokens}
        columns = self._prompt.columns
        self._system: RowTemplate | None = None
        self._fixed_system: str | None = None
        if system is not None:
            template = self._templates.add("--system", system)
            columns += template.columns
            if template.varies:
                self._system = template
            else:
                self._fixed_system = template.fixed_text()
        self.columns = tuple(dict.fromkeys(columns))
        self.max_output_tokens = max_tokens
        self.fixed_texts = () if self._fixed_system is None else (self._fixed_system,)
        self._asks_for_tools = False
        self._format: object = None

    def check_beginning(self) -> None:
        """See :class:`batcher.kinds.RefusesToBegin`: the same prompt for all rows.

        Raises:
            UsageError: nothing of the row is in it, and nobody said that this is right.
        """
        prompt = self._prompt
        if isinstance(prompt, ColumnsText) or prompt.varies or self._system or self._constant:
            return
        what = "" if self._from_file else "there is no such file, and as a text "
        hint = prompt.single_braces_hint() or "write {{ column }} where a column's value goes"
        raise UsageError(
            f"--prompt: {what}it uses no column of the row, so that all rows would get the same "
            f"answer: {hint}; --constant-prompt sends it as it is"
        )

    def notes_on(self, columns: Sequence[str]) -> Sequence[str]:
        """See :class:`batcher.kinds.NotesColumns`: what looks like a column and is none."""
        templates = {"--prompt": self._prompt, "--system": self._system}
        return [
            f"{flag}: {hint}"
            for flag, template in templates.items()
            if template is not None and not isinstance(template, ColumnsText)
            if (hint := template.single_braces_hint(columns))
        ]

    def seeing(self, parameters: Mapping[str, Any]) -> BoundChat:
        """See :class:`batcher.kinds.SeesParameters`: tools add a field to the result."""
        self._format = parameters.get("response_format")
        if any(parameters.get(name) for name in ("tools", "functions")):
            self._asks_for_tools = True
            self.fields = (*BoundChat.fields, Field(name="tool_calls", type="json"))
        return self

    def render(self, record: Mapping[str, Any]) -> Prompt:
        """The prompt, after the system message where that speaks of the row."""
        self._templates.begin()
        prompt = self._prompt.render(record)
        if not prompt.strip():
            return ("",)
        if self._system is not None:
            return (self._system.render(record), prompt)
        return (prompt,)

    def how_to_name(self, present: Sequence[str]) -> str:
        """See :class:`batcher.kinds.NamesColumns`."""
        if isinstance(self._prompt, ColumnsText) and (said := self._prompt.how_to_name(present)):
            return said
        from batcher.kinds.templates import how_to_name

        return how_to_name(present)

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

    def longest_answer(self) -> AnswerBound | None:
        """See :class:`batcher.kinds.BoundsAnswers`: what a schema of the answer allows."""
        return None if self._asks_for_tools else bound_of_format(self._format)

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
            result["tool_calls"] = list(called)
        elif completion.tool_calls and not completion.text:
            result["finish_reason"] = "tool_calls"
        if not completion.is_whole and not (called and completion.finish_reason == "tool_calls"):
            result["finish_reason"] = completion.finish_reason
        return [Done(result)]


def _as_file(template: TextFile | str) -> TextFile:
    """A template that came as a text is one that no file holds."""
    return template if isinstance(template, TextFile) else TextFile("", template)


KIND = Chat()
