"""Texts of several columns, and templates wherever a kind takes a text: one language for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import RowError, UsageError
from batcher.core.kind import TextFile
from batcher.core.options import is_file_name
from batcher.kinds.texts import single_braces_hint
from jobs.chat import KIND as CHAT
from jobs.classify import KIND as CLASSIFY
from jobs.embed import KIND as EMBED

CELLS = st.dictionaries(st.sampled_from("abc"), st.text(), min_size=3, max_size=3)


def said(text: str) -> TextFile:
    """What an option gave as a text."""
    return TextFile("", text)


def embed(template: str) -> Any:
    return EMBED.bind({"template": said(template)})


@given(CELLS)
def test_several_columns_are_one_text_without_those_that_are_blank(row: Mapping[str, str]) -> None:
    columns = ["b", "a", "c"]
    expected = "\n\n".join(row[name] for name in columns if row[name].strip())
    for kind, more in ((EMBED, {}), (CHAT, {}), (CLASSIFY, {"labels": ["x", "y"]})):
        bound: Any = kind.bind({"text": columns, **more})
        assert bound.columns == ("b", "a", "c")
        assert bound.render(row) == (expected,)


@pytest.mark.parametrize("text", ["body", ["body"], ("body",)])
def test_one_column_is_the_same_job_however_it_is_said(text: Any) -> None:
    assert EMBED.bind({"text": text}).identity == {
        "parts": [["body", True]], "dimensions": None, "overlong": "error",
    }  # fmt: skip
    assert CLASSIFY.bind({"text": text, "labels": ["x", "y"]}).identity["text"] == "body"


def test_the_order_of_columns_makes_another_job() -> None:
    one, other = (EMBED.bind({"text": text}).identity for text in (["a", "b"], ["b", "a"]))
    assert one != other


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ([], "--text is empty"),
        ("", "--text is empty"),
        (["a", ""], "--text is empty"),
        (["a", "b", "a"], "--text names the column 'a' twice"),
        (["a", 3], "a list of texts"),
    ],
)
def test_columns_that_are_none_are_refused(text: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EMBED.bind({"text": text})


def test_columns_in_one_word_are_told_apart() -> None:
    bound = EMBED.bind({"text": "title,body"})
    assert bound.how_to_name(("title", "body")).endswith("--text title --text body")
    assert bound.how_to_name(("title",)) == ""


def test_a_template_of_embed_is_jinja2() -> None:
    bound = embed("{{ title | upper }}: {{ row['the body'] }}")
    assert bound.columns == ("title", "the body")
    assert bound.render({"title": "a", "the body": "b"}) == ("A: b",)
    assert bound.render({"title": " ", "the body": None}) == ("",)


@given(st.text(), st.text())
def test_both_languages_of_embed_mean_the_same(title: str, body: str) -> None:
    row = {"t": title, "b": body}
    assert embed("{{ t }}|{{ b }}").render(row) == embed("{t}|{b}").render(row)


def test_the_former_language_is_the_former_job() -> None:
    was = EMBED.bind({"template": "{title}: {body}"})  # as a job of former versions keeps it
    now = embed("{title}: {body}")
    assert now.identity == was.identity
    assert "write {{ column }}" in now.notes_on(("title", "body"))[0]
    assert embed("{{ title }}: {{ body }}").identity != was.identity


def test_a_text_of_a_former_job_is_no_template() -> None:
    """What is kept as a plain text was written when a template was something else, or nothing."""
    assert EMBED.bind({"template": "{{{a}}}"}).render({"a": "x"}) == ("{x}",)
    bound = CLASSIFY.bind({"text": "t", "labels": ["x", "y"], "instructions": "Of {{ t }}"})
    assert bound.identity["instructions"] == "Of {{ t }}"
    assert bound.body([("z",)])["messages"][0]["content"].startswith("Of {{ t }}\n")


@pytest.mark.parametrize(
    ("template", "hint"),
    [
        ("{{ title }}: {body}", "{body} is plain text: a column is {{ body }}"),
        ("{title}: {{{body}}}", "a brace that is text is written {{ '{' }}"),
        ("no column", "names no column: write it as {{ column }}"),
        ("{{ 'constant' }}", "names no column"),
        ("{ }", "write {{ column }} for a column"),
    ],
)
def test_a_template_that_is_probably_not_meant_says_why(template: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        embed(template)
    assert hint in str(caught.value)


def test_instructions_that_speak_of_the_row_go_with_it() -> None:
    options = {"text": "body", "labels": ["x", "y"], "instructions": said("Of {{ shop }}:")}
    bound = CLASSIFY.bind(options)
    assert bound.columns == ("body", "shop")
    prompt = bound.render({"body": "late", "shop": "A"})
    assert prompt == ("Of A:\nLabels:\nx\ny", "late")
    assert [m["content"] for m in bound.body([prompt])["messages"]] == list(prompt)
    assert bound.render({"body": " ", "shop": "A"}) == ("",)
    with pytest.raises(RowError, match="'shop' is undefined"):
        bound.render({"body": "late"})


@pytest.mark.parametrize("text", ["Choose.", "Choose.\n"])
def test_instructions_without_columns_are_the_former_job(text: str) -> None:
    options = {"text": "body", "labels": ["x", "y"]}
    was = CLASSIFY.bind({**options, "instructions": "Choose."})
    now = CLASSIFY.bind({**options, "instructions": TextFile("i.txt", text)})
    assert now.identity == was.identity
    assert now.fixed_texts == was.fixed_texts
    assert now.body([("z",)]) == was.body([("z",)])


@pytest.mark.parametrize("prompt", [TextFile("p.j2", "Solve it."), said("Solve {question}")])
def test_a_prompt_that_uses_no_column_begins_no_job(prompt: TextFile) -> None:
    bound = CHAT.bind({"prompt": prompt})
    with pytest.raises(UsageError, match=r"uses no column.*--constant-prompt") as caught:
        bound.check_beginning()
    assert ("{{ question }}" in str(caught.value)) == ("{" in prompt.text)
    assert ("there is no such file" in str(caught.value)) == (not prompt.path)
    constant = CHAT.bind({"prompt": prompt, "constant_prompt": True})
    constant.check_beginning()
    assert constant.identity == bound.identity


@pytest.mark.parametrize(
    "options",
    [
        {"prompt": said("{{ q }}")},
        {"prompt": said("{% for name in row %}{{ name }}{% endfor %}")},
        {"prompt": said("Judge it."), "system": said("It is {{ q }}")},
        {"text": "q"},
    ],
)
def test_whatever_says_something_of_the_row_begins_a_job(options: dict[str, Any]) -> None:
    CHAT.bind(options).check_beginning()


def test_the_system_message_goes_before_the_row_s_text() -> None:
    bound = CHAT.bind({"text": ["a", "b"], "system": said("You are terse")})
    messages = bound.body([bound.render({"a": "x", "b": "y"})])["messages"]
    assert [message["content"] for message in messages] == ["You are terse", "x\n\ny"]


def test_a_column_in_single_braces_is_pointed_out_and_other_braces_are_not() -> None:
    bound = CHAT.bind({"prompt": said('{{ q }} as {"a": 1} or {b} {q}')})
    assert bound.notes_on(("q",)) == ["--prompt: {q} is plain text: a column is {{ q }}"]
    assert bound.notes_on(("a",)) == []


@given(st.text(alphabet="{} ab1_\n"))
def test_no_hint_is_given_of_what_jinja2_understands(text: str) -> None:
    hint = single_braces_hint(text.replace("{", "{{").replace("}", "}}"))
    assert hint == ""


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("prompt.j2", True), ("prompts/one", True), ("my prompt.txt", True), ("a.b", True),
        ("You are terse", False), ("You are terse.", False), ("Terse", False), ("", False),
        ("{{ a }}.txt", False), ("Be brief, i.e. terse", False), ("in\nlines.txt", False),
    ],
)  # fmt: skip
def test_a_file_s_name_is_told_from_a_text(text: str, is_one: bool) -> None:
    assert is_file_name(text) == is_one
