"""The kind ``chat``: sandboxed templates, and answers that say when they were cut off."""

from __future__ import annotations

import json

import pytest

from batcher.core.errors import RowError, UsageError
from batcher.core.kind import Done, TextFile
from jobs.chat import KIND, BoundChat


def bind(prompt: str, system: str | None = None) -> BoundChat:
    options = {"prompt": TextFile("prompt.j2", prompt)}
    if system is not None:
        options["system"] = TextFile("system.txt", system)
    return KIND.bind(options)


def test_the_prompt_is_rendered_from_the_row() -> None:
    bound = bind("Hello {{ name | upper }}: {% if n > 1 %}many{% else %}one{% endif %}")
    assert bound.columns == ("n", "name")
    assert bound.render({"name": "ada", "n": 2}) == ("Hello ADA: many",)


def test_a_fixed_system_message_is_sent_but_not_stored_with_each_row() -> None:
    bound = bind("{{ q }}", "Be brief.")
    assert bound.render({"q": "why"}) == ("why",)
    assert bound.fixed_texts == ("Be brief.",)
    assert bound.body([("why",)])["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "why"},
    ]


def test_a_system_message_of_the_row_s_own_goes_with_it() -> None:
    bound = bind("{{ q }}", "You speak {{ language }}.")
    assert bound.columns == ("q", "language")
    prompt = bound.render({"q": "why", "language": "Dutch"})
    assert [m["content"] for m in bound.body([prompt])["messages"]] == ["You speak Dutch.", "why"]


def test_a_blank_prompt_is_an_empty_input() -> None:
    assert bind(" {{ q }}\n", "Be brief.").render({"q": " "}) == ("",)


def test_a_missing_column_is_an_error_of_the_row() -> None:
    with pytest.raises(RowError, match="'q' is undefined"):
        bind("{{ q }}").render({})


def test_a_template_that_fails_does_not_quote_the_row() -> None:
    with pytest.raises(RowError) as caught:
        bind("{{ 1 / (n - n) }} {{ n }}").render({"n": 42})
    assert caught.value.code == "template_error"
    assert "42" not in str(caught.value)


@pytest.mark.parametrize(
    "prompt",
    ["{{ q.__class__.__mro__ }}", "{{ q.__init__.__globals__ }}", "{{ q.upper.__func__ }}"],
)
def test_the_sandbox_holds(prompt: str) -> None:
    with pytest.raises(RowError, match="template fails"):
        bind(prompt).render({"q": "x"})


@pytest.mark.parametrize("prompt", ["{{ q", "{% if %}", "{{ q | nofilter }}"])
def test_broken_templates_are_refused_before_anything_is_sent(prompt: str) -> None:
    with pytest.raises(UsageError, match="--prompt is no Jinja2 template"):
        bind(prompt)


def test_a_prompt_must_be_given() -> None:
    with pytest.raises(UsageError, match="chat needs --prompt FILE"):
        KIND.bind({})


@pytest.mark.parametrize(
    ("finish_reason", "result"),
    [
        ("stop", {"output": "because"}),
        ("length", {"output": "because", "finish_reason": "length"}),
        (None, {"output": "because"}),
    ],
)
def test_an_answer_that_was_cut_off_says_so(
    finish_reason: str | None, result: dict[str, str]
) -> None:
    answer = {"choices": [{"message": {"content": "because"}, "finish_reason": finish_reason}]}
    (outcome,) = bind("{{ q }}").parse(answer, 1)
    assert isinstance(outcome, Done)
    assert json.loads(outcome.value) == result
