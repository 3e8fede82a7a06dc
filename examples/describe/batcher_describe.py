"""``describe``: an answer to a question about the picture of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batcher.core.answers import Completion, read_completion, text_of
from batcher.core.errors import RowError
from batcher.kinds import Attachment, BaseKind, Done, Field, Invalid, Option, Outcome, Prompt


class Describe(BaseKind):
    """The kind ``describe``, for chat models that see."""

    name = "describe"
    summary = "An answer to a question about each row's picture."
    options = (
        Option(name="image", help="Column with the path or the URL of a picture."),
        Option(name="question", help="What is asked.", default="What is in this picture?"),
        Option(name="longest", help="Column with the limit of tokens of the row's answer."),
    )
    fields = (Field(name="description", type="text"),)
    max_output_tokens = 300
    most_attachment_bytes = 10_000_000

    def begin(self, options: Mapping[str, Any]) -> None:
        self.require(options, "image", "question")
        self.image: str = options["image"]
        self.question: str = options["question"]
        self.longest: str | None = options["longest"]
        self.columns = (self.image,) if self.longest is None else (self.image, self.longest)

    def render(self, record: Mapping[str, Any]) -> Prompt:
        return (self.question,)

    def attachments(self, record: Mapping[str, Any]) -> Sequence[str]:
        path = text_of(record, self.image).strip()
        if not path:
            raise RowError("no_image", "the row names no picture")
        return (path,)

    def attachment_tokens(self, size_bytes: int) -> int:
        return 1_445  # what OpenAI bills at most for one of detail "high"

    def row_parameters(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        text = "" if self.longest is None else text_of(record, self.longest).strip()
        if not text:
            return {}
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 100_000):
            raise RowError("wrong_limit", "the limit of tokens is not a number from 1 on")
        return {"max_tokens": int(text)}

    def attached_body(
        self,
        prompts: Sequence[Prompt],
        attachments: Sequence[Sequence[Attachment]],
        *,
        repair: Invalid | None = None,
    ) -> dict[str, Any]:
        ((question,),), ((image,),) = prompts, attachments
        content = [
            {"type": "text", "text": question},
            {"type": "image_url", "image_url": {"url": image.data_url}},
        ]
        messages = [{"role": "user", "content": content}]
        return {"messages": messages, "max_tokens": self.max_output_tokens}

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        completion = read_completion(answer)
        if isinstance(completion, Completion):
            return [Done({"description": completion.text})]
        return [completion]


KIND = Describe()
