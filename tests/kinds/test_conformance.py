"""Built-in kinds keep the contract of anybody's kind, and the suite finds who does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import orjson
import pytest

from batcher.core.kind import Broken, Done, Field, Kind, Outcome, Overlong, TextFile
from batcher.core.model import Prompt
from batcher.kinds.testing import check_kind
from jobs.chat import KIND as CHAT
from jobs.classify import KIND as CLASSIFY
from jobs.embed import KIND as EMBED
from tests.engine.answering import chat
from tests.engine.kinds.filing_kind import KIND as FILING
from tests.engine.kinds.own_kind import KIND as OWN
from tests.engine.kinds.packing_kind import KIND as PACKING
from tests.engine.kinds.packing_kind import BoundPacking, Packing

RECORDS: list[dict[str, Any]] = [
    {
        "body": f"text {number}",
        "title": "t",
        "temperature": number / 10,
        "max_tokens": None,
        "files": [f"{number}.txt"],
    }
    for number in range(7)
]
TEMPLATE = TextFile("", "{{ title }}: {{ body }}")
NUMBERS = count()
LABELS = {"text": "body", "labels": ["red", "green"]}


def answer_chat(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return chat("an answer")


def answer_label(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return chat('{"label": "red"}')


def answer_vectors(body: Mapping[str, Any]) -> Mapping[str, Any]:
    vectors = [[float(len(text)), float(ord(text[-1])), 1.0] for text in body["input"]]
    data = [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return {"data": data, "usage": {"prompt_tokens": 3}}


def answer_words(body: Mapping[str, Any]) -> Mapping[str, Any]:
    words = {str(at): ("long", "short")[int(text[-1]) % 2] for at, text in enumerate(body["texts"])}
    return {"words": words}


def answer_texts(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"answers": [text.upper() for text in body["texts"]]}


def answer_form(body: Mapping[str, Any]) -> Mapping[str, Any]:
    assert body["file"]["name"].endswith(".txt")
    return {"answers": [f"{body['prompt']} of {body['file']['bytes']} bytes"]}


@pytest.mark.parametrize(
    ("kind", "options", "answer"),
    [
        (CHAT, {"prompt": TEMPLATE}, answer_chat),
        (CHAT, {"text": ("body", "title"), "system": TEMPLATE, "max_tokens": 5}, answer_chat),
        (CLASSIFY, LABELS, answer_label),
        (CLASSIFY, {**LABELS, "confidence": True, "instructions": TEMPLATE}, answer_label),
        (EMBED, {"text": "body"}, answer_vectors),
        (EMBED, {"template": TEMPLATE, "dimensions": 3, "overlong": "split"}, answer_vectors),
        (PACKING, {"text": "body"}, answer_words),
        (FILING, {"text": "body"}, answer_texts),
        (FILING, {"text": "body", "together": 3}, answer_texts),
        (FILING, {"text": "body", "form": True}, answer_form),
        (OWN, {"text": "body"}, answer_texts),
        (OWN, {"text": "body", "together": 3, "each_tokens": 9}, answer_texts),
        *((kind, LABELS, answer_label) for kind in CLASSIFY.earlier),
    ],
)
def test_a_kind_keeps_its_contract(kind: Kind, options: dict[str, Any], answer: Any) -> None:
    check_kind(kind, options, RECORDS, answer)


class _Odd(Packing):
    """A kind whose bound one has something of its own."""

    def __init__(self, **own: Any) -> None:
        self._own = own

    def bind(self, options: Mapping[str, Any]) -> BoundPacking:
        super().bind(options)
        bound: BoundPacking = type("Odd", (BoundPacking,), self._own)("body")
        return bound


FILES: dict[str, Any] = {
    "most_attachment_bytes": 9,
    "attachments": lambda self, record: [],
    "attachment_tokens": lambda self, size: 0,
    "attached_body": lambda self, prompts, files, repair=None: self.body(prompts),
}
"""What a kind has that attaches files."""


class _Careless(Packing):
    """A kind that takes any option."""

    def bind(self, options: Mapping[str, Any]) -> BoundPacking:
        return BoundPacking(str(options["text"]))


def _random(self: Any, prompts: Sequence[Prompt], *, repair: Any = None) -> dict[str, Any]:
    return {"texts": [text for (text,) in prompts], "at": id(object()) + id(prompts[:])}


def _uncapped(self: Any, prompts: Sequence[Prompt], *, repair: Any = None) -> dict[str, Any]:
    return {"texts": [text for (text,) in prompts], "max_tokens": 50}


def _careless(self: Any, answer: Mapping[str, Any], count: int) -> list[Outcome]:
    return [Done(orjson.dumps({"word": answer["words"][str(at)]})) for at in range(count)]


def _in_order(self: Any, answer: Mapping[str, Any], count: int) -> list[Outcome]:
    words = answer.get("words")
    if not isinstance(words, dict):
        return [Broken("missing", "nothing")] * count
    return [Done(orjson.dumps({"word": word})) for word in words.values()]


def _by_place(self: Any, answer: Mapping[str, Any], count: int) -> list[Outcome]:
    return [Done(orjson.dumps({"word": at})) for at in range(count)]


def _no_numbers(self: Any, answer: Mapping[str, Any], count: int) -> list[Outcome]:
    return [Done({"a": [1.0, float("nan")]})] * count


def _no_vector(self: Any, answer: Mapping[str, Any], count: int) -> list[Outcome]:
    return [Done({"word": "a"})] * count


def _changing_too(self: Any, record: Any) -> dict[str, Any]:
    return {"a": _changing(self, record)}


def _changing(self: Any, record: Any) -> Prompt:
    record["seen"] = record.get("seen", 0) + 1
    return (str(record["body"]),)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"endpoint": "answers"}, "the endpoint is not a path"),
        ({"fields": ()}, "no field"),
        ({"fields": (Field(name="a", type="text"),) * 2}, "two fields have one name"),
        (
            {"fields": (Field(name="a", type="vector"), Field(name="b", type="vector"))},
            "more than one vector",
        ),
        ({"fields": (Field(name="a", type="vector"),)}, "a vector is not float32"),
        (
            {"fields": (Field(name="word", type="text"), Field(name="a", type="vector"))},
            "a vector and other fields is bytes",
        ),
        ({"overlong": Overlong.MEAN}, "only vectors alone have a mean"),
        ({"parse": _no_numbers, "fields": (Field(name="a", type="vector"),)}, "finite numbers"),
        (
            {
                "parse": _no_vector,
                "fields": (Field(name="word", type="text"), Field(name="a", type="vector")),
            },
            "lacks its vector",
        ),
        ({"fields": (Field(name="other", type="text"),)}, "has none of the kind's fields"),
        ({"max_pieces": 0}, "carries no piece"),
        ({"identity": {1: 2}}, "plain JSON"),
        ({"identity": property(lambda self: {"at": str(id(self))})}, "another identity"),
        ({"render": lambda self, record: str(record["body"])}, "not a tuple"),
        ({"render": lambda self, record: (record["body"],)}, "not text for body"),
        ({"render": lambda self, record: (record["body"][:4],)}, "render raises TypeError"),
        ({"render": _changing}, "changes the record"),
        ({"body": lambda self, prompts, repair=None: {"model": "m"}}, "the engine's"),
        ({"body": _random}, "something else of the same prompts"),
        ({"row_parameters": lambda self, record: ["a"]}, "row parameters that are a list"),
        ({"row_parameters": lambda self, record: {"model": "m"}}, "the same for all rows"),
        ({"row_parameters": lambda self, record: {"max_tokens": 0}}, "whole number from 1 on"),
        ({"row_parameters": lambda self, record: {"a": {1}}}, "returned a set"),
        ({"row_parameters": lambda self, record: {"a": next(NUMBERS)}}, "of the same record"),
        ({"row_parameters": lambda self, record: {"a": record["body"][:1]}}, "raises TypeError"),
        ({"row_parameters": _changing_too}, "row_parameters changes the record"),
        ({"output_tokens_per_piece": 10, "body": _uncapped}, "and the kind says"),
        ({"output_tokens_per_piece": -1}, "shrinks with pieces"),
        ({**FILES, "attachments": lambda self, record: "a.png"}, "one text, not a list"),
        ({**FILES, "attachments": lambda self, record: [7]}, "something that is not text"),
        ({**FILES, "attachments": lambda self, record: [record["body"][:1]]}, "raises TypeError"),
        ({**FILES, "attachment_tokens": lambda self, size: -1}, "takes tokens away"),
        ({**FILES, "attached_body": lambda self, *_, repair=None: {"model": "m"}}, "the engine's"),
        ({"parse": _careless}, "parse raises"),
        ({"parse": _in_order}, "outcomes of"),
        ({"parse": _by_place}, "alone has another result"),
    ],
)
def test_a_kind_that_does_not_is_told_in_what(own: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_kind(_Odd(**own), {"text": "body"}, [dict(row) for row in RECORDS], answer_words)


def test_an_option_that_nobody_has_is_refused() -> None:
    with pytest.raises(AssertionError, match="takes an option"):
        check_kind(_Careless(), {"text": "body"}, RECORDS, answer_words)
