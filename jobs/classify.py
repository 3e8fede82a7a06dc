"""``classify``: one label out of a given set for the text of each row.

Structured output: the labels are an enum in a JSON schema that the provider enforces. Not every
server does enforce it, so the label is also found in what else a model may write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from batcher.core.answerbound import AnswerBound
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
from batcher.core.labels import Labels
from batcher.core.labelshare import TokenChoice, label_share
from batcher.core.model import Prompt
from batcher.core.options import read_options, require_one
from batcher.kinds.texts import TEXT, ColumnsText, is_template, plain_text, single_braces_hint

if TYPE_CHECKING:
    from batcher.kinds.templates import RowTemplate, Templates

_INSTRUCTIONS = "Classify the text. Choose the one label that fits best."
_SHARES_SINCE = 3
_ALTERNATIVES = 20
"""The most that OpenAI gives, and what is asked for: labels beyond are improbable."""
_BLANKS = " \t"
_LINE_END = re.compile(r"\r\n|\r|\n")
_REPAIR = 'That was not valid: {message}. Answer again with JSON of the form {{"label": …}} alone.'
_MOST_SHOWN = 4_000
_NOTHING = "(no answer)"  # servers refuse a message without content


class Classify:
    """The kind ``classify``."""

    name = "classify"
    version = _SHARES_SINCE
    summary = "One label out of a given set for each row."
    example = "--text body --labels billing,shipping,bug"
    earlier: tuple[Classify, ...]
    options = (
        TEXT,
        Option(
            name="labels",
            help='The labels, as one line of CSV: A,B,"C, with a comma".',
            type="list",
            item="label",
            metavar="A,B,…",
        ),
        Option(name="labels_file", help="A file with one label a line.", type="path"),
        Option(
            name="instructions",
            help="What to tell the model instead of the short default: a text, a Jinja2 template "
            "like chat's prompt, or the file that holds it.",
            type="template",
            metavar="TEXT|FILE",
        ),
        Option(
            name="confidence",
            help="Add how probable the label is among the labels, from the answer's logprobs.",
            type="flag",
            default=False,
        ),
        Option(name="max_tokens", help="Limit of tokens for an answer.", type="int", at_least=1),
    )

    def bind(self, options: Mapping[str, Any]) -> BoundClassify:
        """Check the options and the labels.

        Raises:
            UsageError: no text column, or fewer than two different labels.
        """
        values = read_options(self.name, self.options, options)
        if values["text"] is None:
            raise UsageError("classify needs --text COLUMN")
        if require_one(self.name, values, "labels", "labels_file") == "labels":
            labels = self._labels_of_list(values["labels"])
        else:
            labels = self._labels_of_file(values["labels_file"].text)
        labels = tuple(dict.fromkeys(filter(None, labels)))
        if len(labels) < 2:
            raise UsageError(
                f"classify needs at least two different labels, not {labels[0]!r:.80} alone; "
                "--labels A,B lists them, --labels-file FILE names a file with one a line"
                if labels
                else "classify needs at least two different labels"
            )
        templates, instructions = _read_instructions(values["instructions"])
        # Without confidences nothing has changed since version 2: it is the same job.
        unchanged = not values["confidence"] and self.version > 2
        return BoundClassify(
            version=2 if unchanged else self.version,
            text=ColumnsText(values["text"]),
            labels=labels,
            instructions=instructions,
            templates=templates,
            listed=self._listed(labels),
            confidence=values["confidence"],
            max_tokens=values["max_tokens"],
        )

    def _labels_of_list(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        if broken := next((label for label in labels if _LINE_END.search(label)), None):
            raise UsageError(f"a label is one line, and {broken!r} is more")
        return tuple(label.strip(_BLANKS) for label in labels)

    def _labels_of_file(self, text: str) -> tuple[str, ...]:
        """One a line, and a line ends where a file's do: not at every mark that Unicode has."""
        return tuple(line.strip(_BLANKS) for line in _LINE_END.split(text))

    def _listed(self, labels: tuple[str, ...]) -> str:
        """The labels as the model is told them: a comma in one parts nothing."""
        return "Labels:\n" + "\n".join(labels)


def _read_instructions(
    given: TextFile | str | None,
) -> tuple[Templates | None, str | RowTemplate]:
    """The instructions: a text, or a template, with those that it is one of.

    What an earlier version of this program kept of a job is a plain text, whatever is in it.

    Raises:
        UsageError: it is a template that is wrong.
    """
    if given is None or isinstance(given, str):
        return None, given or _INSTRUCTIONS
    if not is_template(given.text):
        return None, plain_text(given) or _INSTRUCTIONS
    from batcher.kinds.templates import Templates  # Jinja2 takes a while to import

    template = (templates := Templates()).add("--instructions", given.text)
    return (templates, template) if template.varies else (None, template.fixed_text())


class SecondClassify(Classify):
    """Version 2, for jobs that were begun with it: a confidence was a joint probability."""

    version = 2
    earlier: tuple[Classify, ...] = ()


class FirstClassify(SecondClassify):
    """Version 1, for jobs that were begun with it: it took every comma for the end of a label."""

    version = 1

    def bind(self, options: Mapping[str, Any]) -> BoundClassify:
        """As then, where the labels came as one text."""
        if isinstance(labels := options.get("labels"), str):
            options = {**options, "labels": labels.split(",")}
        return super().bind(options)

    def _labels_of_list(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(label.strip() for label in labels)

    def _labels_of_file(self, text: str) -> tuple[str, ...]:
        return tuple(line.strip() for line in text.splitlines())

    def _listed(self, labels: tuple[str, ...]) -> str:
        return f"Labels: {', '.join(labels)}"


class BoundClassify:
    """``classify`` with its options: see :class:`batcher.core.kind.BoundKind`."""

    endpoint = Endpoint.CHAT
    packs = False
    overlong = Overlong.ERROR
    optional_parameters = frozenset({"response_format", "top_logprobs"})

    def __init__(
        self,
        *,
        version: int,
        text: ColumnsText,
        labels: tuple[str, ...],
        instructions: str | RowTemplate,
        templates: Templates | None,
        listed: str,
        confidence: bool,
        max_tokens: int | None,
    ) -> None:
        """All options, checked; ``listed`` are the labels as the model is told them.

        ``instructions`` are a template, one of ``templates``, where they depend on the row.
        """
        self._text = text
        self.version = version
        self._shares = version >= _SHARES_SINCE
        self._all = labels
        self._labels = Labels(labels)
        self._confidence = confidence
        self._listed = listed
        self.columns = text.columns
        self.max_output_tokens = max_tokens
        self.fields: tuple[Field, ...] = (Field(name="label", type="text"),)
        if confidence:
            self.fields += (Field(name="confidence", type="float"),)
        self._format = {
            "type": "json_schema",
            "json_schema": {
                "name": "classification",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {"label": {"type": "string", "enum": list(labels)}},
                    "required": ["label"],
                    "additionalProperties": False,
                },
            },
        }
        schema = orjson.dumps(self._format["json_schema"]).decode()
        self._templates = templates
        self._instructions: RowTemplate | None = None
        told: object = instructions
        if isinstance(instructions, str):
            self._system = f"{instructions}\n{listed}"
            self.fixed_texts: tuple[str, ...] = (self._system, schema)
        else:
            self._instructions = instructions
            told = {"template": instructions.source}
            self.fixed_texts = (schema,)
            self.columns = tuple(dict.fromkeys((*text.columns, *instructions.columns)))
        self.identity = {
            "text": text.names,
            "labels": list(labels),
            "instructions": told,
            "confidence": confidence,
            "max_tokens": max_tokens,
        }

    def render(self, record: Mapping[str, Any]) -> Prompt:
        """The row's text, after the system message where that speaks of the row."""
        text = self._text.render(record)
        if self._instructions is None or self._templates is None:
            return (text,)
        if not text.strip():
            return ("",)
        self._templates.begin()
        return (f"{self._instructions.render(record)}\n{self._listed}", text)

    def how_to_name(self, present: Sequence[str]) -> str:
        """See :class:`batcher.kinds.NamesColumns`."""
        said = self._text.how_to_name(present)
        if said or self._instructions is None:
            return said
        from batcher.kinds.templates import how_to_name

        return how_to_name(present)

    def notes_on(self, columns: Sequence[str]) -> Sequence[str]:
        """See :class:`batcher.kinds.NotesColumns`: what looks like a column and is none."""
        if self._instructions is None:
            hint = single_braces_hint(self._system, columns)
        else:
            hint = self._instructions.single_braces_hint(columns)
        return [f"--instructions: {hint}"] if hint else []

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        """Instructions, the text, and the schema."""
        *system, text = prompts[0]
        messages: list[dict[str, str]] = [
            {"role": "system", "content": system[0] if system else self._system},
            {"role": "user", "content": text},
        ]
        if repair is not None:
            messages += [
                {"role": "assistant", "content": repair.answer[:_MOST_SHOWN] or _NOTHING},
                {"role": "user", "content": _REPAIR.format(message=repair.message)},
            ]
        body: dict[str, Any] = {"messages": messages, "response_format": self._format}
        if self.max_output_tokens is not None:
            body["max_tokens"] = self.max_output_tokens
        if self._confidence:
            body["logprobs"] = True
            if self._shares:
                body["top_logprobs"] = _ALTERNATIVES
        return body

    def longest_answer(self) -> AnswerBound:
        """See :class:`batcher.kinds.BoundsAnswers`: one of the labels."""
        answers = tuple(orjson.dumps({"label": label}).decode() for label in self._all)
        return AnswerBound(texts=answers, by="the labels")

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        """The label, if exactly one of those asked for is named."""
        del count  # always one
        completion = read_completion(answer)
        if not isinstance(completion, Completion):
            return [completion]
        if completion.finish_reason == "length":
            return [_invalid("the answer was cut off (raise --max-tokens)", completion)]
        label = self._read(completion)
        if label is None:
            return [_invalid("it does not name exactly one of the labels", completion)]
        result: dict[str, Any] = {"label": label}
        if self._confidence:
            result["confidence"] = (
                label_share(completion.logprobs, label, self._all)
                if self._shares
                else _joint(completion, label)
            )
        return [Done(result)]

    def _read(self, completion: Completion) -> str | None:
        """The label that an answer names, first as the schema has it."""
        text = completion.text
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError:
            parsed = None
        label = parsed.get("label") if isinstance(parsed, dict) else None
        if isinstance(label, str) and label in self._labels:
            return label
        if not text and len(completion.tool_calls) == 1:
            # A gateway that has a model fill in the schema as if it were a tool's.
            text = completion.tool_calls[0]["function"]["arguments"]
        return self._labels.find(text)


def _joint(completion: Completion, label: str) -> float | None:
    """As versions 1 and 2 had it: the joint probability of the tokens that spell the label."""
    alone = [TokenChoice(token.text, token.logprob) for token in completion.logprobs]
    return label_share(alone, label, ())


def _invalid(message: str, completion: Completion) -> Invalid:
    return Invalid("invalid_output", message, completion.text)


Classify.earlier = (SecondClassify(), FirstClassify())
KIND = Classify()
