"""The kind ``classify``: only a label that was asked for is a result."""

from __future__ import annotations

import math
from typing import Any

import jsonschema
import pytest

from batcher.core.errors import UsageError
from batcher.core.kind import Broken, Done, Invalid, Outcome, Refused, TextFile
from jobs.classify import KIND, BoundClassify


def bind(**options: Any) -> BoundClassify:
    return KIND.bind({"text": "body", "labels": "red, green,blue", **options})


def parse(bound: BoundClassify, content: object, **choice: Any) -> Outcome:
    message = {"role": "assistant", "content": content}
    answer = {"choices": [{"message": message, "finish_reason": "stop", **choice}]}
    (outcome,) = bound.parse(answer, 1)
    return outcome


def test_the_schema_allows_exactly_the_labels() -> None:
    body = bind().body([("some text",)])
    schema = body["response_format"]["json_schema"]["schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"label": "green"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"label": "yellow"}, schema)
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["messages"][-1] == {"role": "user", "content": "some text"}


def test_a_label_asked_for_is_the_result() -> None:
    assert parse(bind(), '{"label": "red"}') == Done({"label": "red"})


@pytest.mark.parametrize(
    "content", ['{"label": "yellow"}', '{"label": 1}', "{}", "[]", "reddish", '{"label": "re']
)
def test_anything_else_is_invalid_and_keeps_the_answer_for_the_repair(content: str) -> None:
    outcome = parse(bind(), content)
    assert isinstance(outcome, Invalid)
    assert outcome.answer == content


def test_a_cut_off_answer_is_invalid_even_if_it_parses() -> None:
    assert isinstance(parse(bind(), '{"label": "red"}', finish_reason="length"), Invalid)


def test_refusals_are_final() -> None:
    answer = {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]}
    assert isinstance(bind().parse(answer, 1)[0], Refused)
    assert isinstance(parse(bind(), "", finish_reason="content_filter"), Refused)


@pytest.mark.parametrize("answer", [{}, {"choices": []}, {"choices": [{}]}, {"choices": [None]}])
def test_an_answer_without_a_message_is_broken(answer: dict[str, Any]) -> None:
    assert isinstance(bind().parse(answer, 1)[0], Broken)


def test_a_repair_shows_the_model_what_it_said() -> None:
    invalid = Invalid("invalid_output", "the answer is not JSON", "red!")
    messages = bind().body([("text",)], repair=invalid)["messages"]
    assert messages[2] == {"role": "assistant", "content": "red!"}
    assert "the answer is not JSON" in messages[3]["content"]


def test_the_confidence_is_the_joint_probability_of_the_label_s_tokens() -> None:
    tokens = [('{"', 0.0), ("label", -0.1), ('":"', 0.0), ("gr", -0.2), ("een", -0.3), ('"}', 0.0)]
    logprobs = {"content": [{"token": t, "logprob": p} for t, p in tokens]}
    bound = bind(confidence=True)
    outcome = parse(bound, '{"label":"green"}', logprobs=logprobs)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.value, dict)
    assert outcome.value["confidence"] == pytest.approx(math.exp(-0.5), abs=1e-6)
    assert bound.body([("x",)])["logprobs"] is True
    assert bound.body([("x",)])["top_logprobs"] == 20


def test_a_confidence_is_the_label_s_share_since_version_3() -> None:
    other = [{"token": "red", "logprob": math.log(0.2)}]
    tokens = [{"token": "green", "logprob": math.log(0.6), "top_logprobs": other}]
    bound = bind(confidence=True)
    outcome = parse(bound, "green", logprobs={"content": tokens})
    assert outcome == Done({"label": "green", "confidence": 0.75})
    assert (bound.version, bind().version) == (3, 2)
    second, _ = KIND.earlier
    before = second.bind({"text": "body", "labels": "red, green,blue", "confidence": True})
    assert before.identity == bound.identity
    assert "top_logprobs" not in before.body([("x",)])
    outcome = parse(before, "green", logprobs={"content": tokens})
    assert outcome == Done({"label": "green", "confidence": 0.6})


@pytest.mark.parametrize(
    ("content", "tokens", "confidence"),
    [
        ("GREEN", [("GR", -0.2), ("EEN", -0.3)], math.exp(-0.5)),
        ("green", [("gr", -0.2), ("een", math.nan)], None),
        ("green", [("gr", -0.2), ("een", -math.inf)], None),
        ("green", [("gr", 1e308), ("een", 1e308)], 1.0),
        ("green", [("green", 1e300)], 1.0),
        ("Green!", [("?", -0.2)], None),
    ],
)
def test_the_confidence_of_odd_logprobs(
    content: str, tokens: list[tuple[str, float]], confidence: float | None
) -> None:
    logprobs = {"content": [{"token": t, "logprob": p} for t, p in tokens]}
    outcome = parse(bind(confidence=True), content, logprobs=logprobs)
    assert isinstance(outcome, Done)
    expected = None if confidence is None else pytest.approx(confidence, abs=1e-6)
    assert outcome.value == {"label": "green", "confidence": expected}


def test_a_gateway_s_tool_call_in_place_of_the_schema_is_read() -> None:
    call = {"function": {"name": "classification", "arguments": '{"label": "red"}'}}
    message = {"content": None, "tool_calls": [call]}
    answer = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    assert bind().parse(answer, 1) == [Done({"label": "red"})]


def test_nothing_at_the_limit_is_not_asked_again() -> None:
    outcome = parse(bind(), None, finish_reason="length")
    assert isinstance(outcome, Refused)
    assert outcome.common


def test_a_repair_is_bounded_and_never_empty() -> None:
    def shown(answer: str) -> str:
        messages = bind().body([("text",)], repair=Invalid("invalid_output", "x", answer))
        content: str = messages["messages"][2]["content"]
        return content

    assert shown("") == "(no answer)"
    assert len(shown("x" * 100_000)) == 4_000


def test_without_logprobs_the_confidence_is_not_made_up() -> None:
    outcome = parse(bind(confidence=True), '{"label":"green"}')
    assert isinstance(outcome, Done)
    assert outcome.value == {"label": "green", "confidence": None}


def test_labels_come_from_a_file_too() -> None:
    file = TextFile("labels.txt", "rot\n\n grün \nrot\n")
    bound = KIND.bind({"text": "body", "labels_file": file})
    assert bound.identity["labels"] == ["rot", "grün"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "a,b"}, "classify needs --text"),
        ({"text": "t"}, "--labels or --labels-file"),
        ({"text": "t", "labels": "a"}, "at least two"),
        ({"text": "t", "labels": "a,a"}, "at least two"),
        ({"text": "t", "labels": "a,b", "max_tokens": 0}, "--max-tokens"),
    ],
)
def test_wrong_options_say_what_would_be_right(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KIND.bind(options)


def test_the_file_s_content_and_not_its_name_is_the_identity() -> None:
    one = KIND.bind({"text": "t", "labels_file": TextFile("a.txt", "x\ny\n")})
    two = KIND.bind({"text": "t", "labels_file": TextFile("b.txt", "x\ny\n")})
    assert one.identity == two.identity


def test_a_list_of_labels_is_a_list() -> None:
    bound = KIND.bind({"text": "t", "labels": ["card", " transfer, abroad ", 'say "hi"', ""]})
    assert bound.identity["labels"] == ["card", "transfer, abroad", 'say "hi"']


def test_one_text_of_labels_is_a_record_of_csv() -> None:
    bound = KIND.bind({"text": "t", "labels": 'card, "transfer, abroad","say ""hi""",5" pipe,,'})
    assert bound.identity["labels"] == ["card", "transfer, abroad", 'say "hi"', '5" pipe']


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x0c", "\x0b", "\x1c", "\x85"])
def test_only_the_end_of_a_line_ends_a_label(mark: str) -> None:
    label = f"one{mark}label"
    file = TextFile("labels.txt", f"{label}\r\nother\rthird\n")
    bound = KIND.bind({"text": "t", "labels_file": file})
    assert bound.identity["labels"] == [label, "other", "third"]
    listed = KIND.bind({"text": "t", "labels": [label, "other"]})
    assert listed.identity["labels"] == [label, "other"]


@pytest.mark.parametrize("labels", [["a\nb", "c"], ["a", "b\r"], '"a\nb",c'])
def test_a_label_of_two_lines_is_refused(labels: Any) -> None:
    with pytest.raises(UsageError, match="a label is one line"):
        KIND.bind({"text": "t", "labels": labels})


def test_the_prompt_lists_the_labels_one_a_line() -> None:
    labels = ["card", "transfer, abroad", "- odd"]
    body = KIND.bind({"text": "t", "labels": labels}).body([("x",)])
    lines = body["messages"][0]["content"].split("\n")
    assert lines[-4:] == ["Labels:", *labels]


def test_the_first_version_is_as_it_was() -> None:
    *_, first = KIND.earlier
    bound = first.bind({"text": "t", "labels": "card, transfer, abroad"})
    assert first.version == 1
    assert bound.identity["labels"] == ["card", "transfer", "abroad"]
    system = bound.body([("x",)])["messages"][0]["content"]
    assert system.endswith("\nLabels: card, transfer, abroad")
    file = TextFile("labels.txt", "a\u2028b\x0cc\n")
    assert first.bind({"text": "t", "labels_file": file}).identity["labels"] == ["a", "b", "c"]
    same = {"text": "t", "labels": ["a", "b"], "instructions": "x", "confidence": True}
    assert first.bind(same).identity == KIND.bind(same).identity
