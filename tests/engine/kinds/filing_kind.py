"""A kind of somebody's own package that asks about files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batcher.core.errors import RowError
from batcher.kinds import (
    Attachment,
    BaseKind,
    Broken,
    Done,
    Field,
    Form,
    Invalid,
    Option,
    Outcome,
    Prompt,
)
from batcher.kinds.texts import TEXT


class Filing(BaseKind):
    """The kind ``filing``: what is in the files of the column ``files``.

    ``form`` sends one of them as a form. ``together`` rows may share a request. Each file is billed
    as a token a byte.
    """

    name = "filing"
    summary = "One answer for each row, about its files."
    options = (
        TEXT,
        Option(name="form", type="flag", help="Send the file as a form.", default=False),
        Option(name="together", type="int", at_least=1, default=1, help="Rows a request."),
    )
    endpoint = "/files"
    fields = (Field(name="answer", type="text"),)
    max_output_tokens: int | None = 20
    max_pieces = 1
    most_attachment_bytes = 1_000
    form = False

    def begin(self, options: Mapping[str, Any]) -> None:
        self.columns = (*self.columns, "files")
        self.form = bool(options["form"])
        self.max_pieces = options["together"]
        self.packs = self.max_pieces > 1

    def render(self, record: Mapping[str, Any]) -> Prompt:
        return (str(record[self.columns[0]]),)

    def attachments(self, record: Mapping[str, Any]) -> Sequence[str]:
        files = record["files"] or []
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise RowError("no_files", "the files are no list of paths")
        return files

    def attachment_tokens(self, size_bytes: int) -> int:
        return size_bytes

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        raise AssertionError("the engine asks for a body with attachments")

    def attached_body(
        self,
        prompts: Sequence[Prompt],
        attachments: Sequence[Sequence[Attachment]],
        *,
        repair: Invalid | None = None,
    ) -> dict[str, Any] | Form:
        del repair
        if self.form:
            files = [("file", file) for file in attachments[0]]
            return Form({"prompt": prompts[0][0], "kinds": ["word", "line"]}, files)
        return {
            "texts": [text for (text,) in prompts],
            "files": [[file.data_url for file in files] for files in attachments],
            "max_tokens": self.max_output_tokens,
        }

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        answers = answer.get("answers")
        if not isinstance(answers, list) or len(answers) != count:
            return [Broken("missing", "the answer does not speak of all rows")] * count
        return [
            Done({"answer": one}) if isinstance(one, str) else Broken("no_text", "it is no text")
            for one in answers
        ]


KIND = Filing()
