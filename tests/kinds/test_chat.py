"""The kind ``chat``: sandboxed templates, and answers that say when they were cut off."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from batcher.core.errors import RowError, UsageError
from batcher.core.kind import Done, Invalid, Outcome, TextFile
from batcher.core.kind_optional import NamesColumns
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


def test_a_column_whose_name_is_no_plain_word_is_reached_through_the_row() -> None:
    bound = bind('{{ row["first name"] }} ({{ row["e-mail"] }}, {{ row.age }}): {{ q }}')
    record = {"first name": "Ada", "e-mail": "a@b.c", "age": 36, "q": "why"}

    assert bound.columns == ("q", "first name", "e-mail", "age")
    assert bound.render(record) == ("Ada (a@b.c, 36): why",)


def test_the_row_is_a_mapping_of_all_its_columns() -> None:
    bound = bind("{% for name, value in row.items() %}{{ name }}={{ value }};{% endfor %}")
    assert bound.columns == ()
    assert bound.render({"a": 1, "b c": 2}) == ("a=1;b c=2;",)
    assert bind('{{ row.get("a", "none") }}').render({}) == ("none",)
    assert bind("{{ row | tojson }}").render({"row": "its own"}) == ('{"row": "its own"}',)


def test_a_system_message_of_the_whole_row_is_not_taken_for_a_fixed_one() -> None:
    bound = bind("{{ q }}", "{% for name in row %}{{ name }}{% endfor %}")
    assert bound.fixed_texts == ()
    assert bound.render({"q": "why"}) == ("q", "why")


def test_the_row_itself_is_no_text() -> None:
    with pytest.raises(UsageError) as caught:
        bind("Answer:\n{{ row }}")
    assert str(caught.value) == (
        '--prompt, line 2: {{ row }} is the whole row: name a column of it, as in {{ row["row"] }}'
    )
    assert bind('{{ row["row"] }}').render({"row": "text"}) == ("text",)
    assert bind("{% for row in rows %}{{ row }}{% endfor %}").render({"rows": "ab"}) == ("ab",)


def test_a_row_cannot_be_changed_by_its_template() -> None:
    record = {"q": "why"}
    with pytest.raises(RowError):
        bind('{{ row.update(q="not") }}').render(record)
    assert record == {"q": "why"}


@pytest.mark.parametrize(
    ("present", "advice"),
    [
        (["q", "body"], ""),
        (
            ["first name", "q"],
            'a column whose name is not a valid identifier is written {{ row["first name"] }}',
        ),
        (
            ['say "x"'],
            'a column whose name is not a valid identifier is written {{ row["say \\"x\\""] }}',
        ),
        ([], 'a column whose name is not a valid identifier is written {{ row["first name"] }}'),
    ],
)
def test_how_a_column_is_named_is_said_where_one_is_hard_to_name(
    present: list[str], advice: str
) -> None:
    bound = bind("{{ q }}")
    assert isinstance(bound, NamesColumns)
    assert bound.how_to_name(present) == advice


def test_the_advice_is_a_template_that_works() -> None:
    advice = bind("{{ q }}").how_to_name(['say "x"'])
    assert bind(advice.partition(" written ")[2]).render({'say "x"': "yes"}) == ("yes",)


def test_what_is_looked_up_by_a_row_is_not_quoted() -> None:
    for template in ("{{ row[q] }}", "{{ {}[q] }}", "{{ q | attr(q) }}", "{{ {'a': 1}[q].b }}"):
        with pytest.raises(RowError) as caught:
            bind(template).render({"q": "secret"})
        assert "secret" not in str(caught.value)


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
    with pytest.raises(UsageError, match="--prompt is not a Jinja2 template: line 2: ") as caught:
        bind("Answer:\n" + prompt)
    assert "\n" not in str(caught.value)


def test_a_name_of_two_words_is_told_from_other_mistakes() -> None:
    with pytest.raises(UsageError, match="not a valid identifier is written") as caught:
        bind("{{ first name }}")
    assert '{{ row["first name"] }}' in str(caught.value)


def test_a_prompt_must_be_given() -> None:
    with pytest.raises(UsageError, match="chat needs --prompt or --text"):
        KIND.bind({})


def parse(bound: BoundChat, message: object, finish_reason: object = "stop") -> Outcome:
    (outcome,) = bound.parse({"choices": [{"message": message, "finish_reason": finish_reason}]}, 1)
    return outcome


def result(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Done)
    assert isinstance(outcome.value, dict)
    return outcome.value


@pytest.mark.parametrize(
    ("finish_reason", "told"),
    [
        *((reason, None) for reason in ("stop", "STOP", "eos_token", "end_turn", "COMPLETE")),
        *((reason, None) for reason in (None, "", "null")),
        *((reason, "length") for reason in ("length", "MAX_TOKENS", "model_length")),
        *((reason, "tool_calls") for reason in ("tool_calls", "tool_use")),
        *((reason, reason) for reason in ("OTHER", "repetition", "time_limit")),
    ],
)
def test_why_an_answer_ended_is_told_unless_the_model_was_done(
    finish_reason: str | None, told: str | None
) -> None:
    expected = (
        {"output": "because"} if told is None else {"output": "because", "finish_reason": told}
    )
    assert result(parse(bind("{{ q }}"), {"content": "because"}, finish_reason)) == expected


def test_an_empty_answer_is_one_but_for_reasoning_that_came_to_nothing() -> None:
    assert result(parse(bind("{{ q }}"), {"content": ""})) == {"output": ""}
    outcome = parse(bind("{{ q }}"), {"content": "", "reasoning_content": "It is because"})
    assert isinstance(outcome, Invalid)
    assert outcome.code == "no_answer"
    assert "reasoned and gave no answer" in outcome.message


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize("parameters", [{"tools": [{"type": "function"}]}, {"functions": [{}]}])
@pytest.mark.parametrize("finish_reason", ["tool_calls", "stop", "TOOL_CALL"])
def test_a_tool_call_is_a_result_where_tools_were_asked_for(
    parameters: dict[str, Any], finish_reason: str
) -> None:
    bound = bind("{{ q }}").seeing(parameters)
    assert [field.name for field in bound.fields] == ["output", "finish_reason", "tool_calls"]
    message = {"content": None, "tool_calls": [CALL], "reasoning_content": "I need f"}
    assert result(parse(bound, message, finish_reason)) == {"output": "", "tool_calls": [CALL]}
    cut = parse(bound, message, "length")
    assert result(cut)["finish_reason"] == "length"


@pytest.mark.parametrize("finish_reason", ["tool_calls", "stop"])
def test_a_tool_call_that_nobody_asked_for_is_told(finish_reason: str) -> None:
    bound = bind("{{ q }}").seeing({"temperature": 0, "tools": []})
    assert [field.name for field in bound.fields] == ["output", "finish_reason"]
    outcome = parse(bound, {"content": None, "tool_calls": [CALL]}, finish_reason)
    assert result(outcome) == {"output": "", "finish_reason": "tool_calls"}


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ('{% include "other.j2" %}', "include"),
        ('x\n{% include "other.j2" ignore missing %}{{ body }}', "include"),
        ("{% if false %}{% include body %}{% endif %}", "include"),
        ('{% import "other.j2" as other %}', "import"),
        ('{% from "other.j2" import thing %}', "from"),
        ('{% extends "other.j2" %}', "extends"),
    ],
)
@pytest.mark.parametrize("which", ["prompt", "system"])
def test_a_template_that_takes_another_file_is_refused(which: str, template: str, tag: str) -> None:
    templates = {"prompt": "{{ body }}", "system": "Be kind.", which: template}
    with pytest.raises(UsageError) as refused:
        bind(**templates)
    line = template.count("\n") + 1
    assert str(refused.value).startswith(
        f"--{which}, line {line}: {{% {tag} %}} takes another file"
    )


def test_a_row_with_numbers_of_any_size_is_json_in_a_template() -> None:
    record = {"b": [Decimal("1e400"), 10**30], "a": Decimal("7" * 5000)}
    assert bind("{{ row | tojson }}").render(record) == (
        f'{{"b":[1e+400,{10**30}],"a":{"7" * 5000}}}',
    )
    assert bind("{{ b }}").render({"b": 10**30}) == (str(10**30),)
