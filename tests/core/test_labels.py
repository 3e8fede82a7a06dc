"""Labels are found in whatever form a model writes them, and never guessed."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batcher.core.labels import Labels

NAMES = ("billing", "shipping", "card", "card arrival", "C++", "C", "Top Up", "größe")
LABELS = Labels(NAMES)
ALPHABETS = Labels(("iade", "kırık", "مشكلة", "سؤال"))

FORMS: dict[str, Callable[[str], str]] = {
    "as asked": lambda label: json.dumps({"label": label}),
    "in a fence": lambda label: f"```json\n{json.dumps({'label': label})}\n```",
    "in a fence without a name": lambda label: (
        f"```\n{json.dumps({'label': label}, indent=1)}\n```"
    ),
    "after reasoning": lambda label: f"<think>\nshipping? card?\n</think>\n\n{json.dumps(label)}",
    "after reasoning without its beginning": lambda label: f"or shipping\n</think>\n{label}",
    "after other reasoning": lambda label: f"[THINK]or card[/THINK]{json.dumps({'label': label})}",
    "after prose": lambda label: f"Sure! Here is what I chose: {json.dumps({'label': label})}",
    "between prose": lambda label: f"Here:\n{json.dumps({'label': label})}\nI hope that helps!",
    "bare": lambda label: label,
    "quoted": lambda label: f'"{label}"',
    "as code": lambda label: f"`{label}`",
    "in bold": lambda label: f"**{label}**",
    "with a full stop": lambda label: f"{label}.",
    "after a bullet": lambda label: f"- {label}",
    "in a tag": lambda label: f"<label>{label}</label>",
    "named": lambda label: f"label: {label}",
    "named in bold": lambda label: f"**Label:** {label}",
    "named with a quote": lambda label: f'Category = "{label}"',
    "said": lambda label: f"The best label is {label}.",
    "said at length": lambda label: f'I would classify this text as "{label}".',
    "first, then why": lambda label: f"{label}\n\nThe customer asks for that.",
    "last": lambda label: f"Let me think about it.\n\n{label}",
    "in upper case": lambda label: json.dumps({"label": label.upper()}),
    "with blanks": lambda label: json.dumps({"label": f"  {label}\n"}),
    "its key in another case": lambda label: json.dumps({"Label ": label}),
    "under another key": lambda label: json.dumps({"category": label}),
    "under a key of its own": lambda label: json.dumps({"support_topic": label, "score": 0.9}),
    "with a reason": lambda label: json.dumps({"reason": "it is not card", "label": label}),
    "in a list": lambda label: json.dumps([label]),
    "in a list of objects": lambda label: json.dumps([{"label": label}]),
    "as a list": lambda label: json.dumps({"label": [label]}),
    "within": lambda label: json.dumps({"classification": {"label": label, "confidence": 1}}),
    "twice": lambda label: f"{json.dumps({'label': label})}\n{json.dumps({'label': label})}",
    "in single quotes": lambda label: f"{{'label': '{label}'}}",
    "with a trailing comma": lambda label: f'{{"label": "{label}",}}',
    "without quotes": lambda label: f"{{label: {label}}}",
    "in typographic quotes": lambda label: f"{{“label”: “{label}”}}",
    "without an end": lambda label: f'{{"label": "{label}"',
    "in a box": lambda label: f"\\boxed{{{label}}}",
    "in a formula's box": lambda label: f"So it is that.\n\n$$\\boxed{{\\text{{{label}}}}}$$",
    "said in a box": lambda label: f"The final answer is: \\[ \\boxed{{\\textbf{{{label}}}}} \\]",
    "as a tool's call": lambda label: (
        '<tool_call>\n{"name": "classification", "arguments": '
        f'{{"label": {json.dumps(label)}}}}}\n</tool_call>'
    ),
    "with the model's marks": lambda label: f"{label}<|im_end|>",
    "in wide characters": lambda label: _wide(label),
    "in wide JSON": lambda label: _wide(json.dumps({"label": label}, ensure_ascii=False)),
    "decomposed": lambda label: json.dumps({"label": unicodedata.normalize("NFD", label)}),
}


def _wide(text: str) -> str:
    return "".join(
        chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", NAMES)
def test_a_label_is_found_in_every_form(form: str, label: str) -> None:
    assert LABELS.find(FORMS[form](label)) == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("BILLING", "billing"),
        ("card_arrival", "card arrival"),
        ("Card-Arrival", "card arrival"),
        ("cardArrival", "card arrival"),
        ("TOPUP", "Top Up"),
        ("top-up", "Top Up"),
        ("GRÖSSE", "größe"),
        ("c++", "C++"),
        ("c", "C"),
        ("Not shipping.\n" + '{"label": "billing"}', "billing"),
        ("It is about shipping costs.\nLabel: billing", "billing"),
        ('{"choice": "billing", "second_choice": "shipping"}', "billing"),
    ],
)
def test_folded_it_is_the_same(text: str, label: str) -> None:
    assert LABELS.find(text) == label


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "billing or shipping",
        "billing, shipping",
        "- billing\n- shipping",
        "billing\nshipping",
        '{"label": "billing"} {"label": "shipping"}',
        '{"label": "billing"}\nNo, wait: shipping',
        'billing\n{"label": "shipping"}',
        '{"label": ["billing", "shipping"]}',
        '{"label": "billing|shipping"}',
        '{"label": "other", "hint": "billing"}',
        '{"label": null}',
        '{"label": "card',
        "{'label': 'card",
        '{"rejected": "billing"}',
        '{"text": "billing", "category": "unknown"}',
        '{"billing": 0.9, "shipping": 0.1}',
        '{"billing": 0.9}',
        "This is not billing",
        "The label is not billing.",
        "The label isn't billing.",
        'I would not classify this as "billing".',
        "Label: billing\nBut it may be shipping",
        "card arrivals",
        "my card arrival is late",
        "postcard",
        "<think>billing",
        "the label of billing",
        "C#",
    ],
)
def test_what_does_not_name_exactly_one_names_none(text: str) -> None:
    assert LABELS.find(text) is None


def test_labels_that_are_the_same_when_folded_must_be_spelled_out() -> None:
    labels = Labels(["US", "us", "them"])
    assert labels.find('{"label": "US"}') == "US"
    assert labels.find("us") == "us"
    assert labels.find("Us") is None
    assert labels.find("THEM") == "them"


def test_typographic_and_unseen_characters_make_no_difference() -> None:
    labels = Labels(["don't know", "follow-up", "\u2764\ufe0f", "yes"])
    assert labels.find('{"label": "Don\u2019t know"}') == "don't know"
    assert labels.find("follow\u2011up") == "follow-up"
    assert labels.find("\u2764") == "\u2764\ufe0f"
    assert labels.find("\ufeffyes\u200b") == "yes"


def test_labels_that_are_numbers() -> None:
    labels = Labels(["1", "2", "-1", "true"])
    assert labels.find('{"label": 1}') == "1"
    assert labels.find('{"label": -1}') == "-1"
    assert labels.find('{"label": true}') == "true"
    assert labels.find("2.") == "2"
    assert labels.find("The text says so [1]") is None
    assert labels.find("3") is None


_WORDS = st.text("abc ", min_size=1, max_size=6).map(lambda text: " ".join(text.split()))
_SETS = st.lists(
    _WORDS.filter(bool), min_size=2, max_size=5, unique_by=lambda w: w.replace(" ", "")
)


@given(_SETS, st.sampled_from(sorted(FORMS)), st.data())
def test_a_label_is_never_taken_for_another(
    names: list[str], form: str, data: st.DataObject
) -> None:
    """Labels of three letters, so that many are parts of others."""
    label = data.draw(st.sampled_from(names))
    assert Labels(names).find(FORMS[form](label)) in (label, None)


@given(_SETS, st.data(), st.sampled_from(["{} or {}", "{}, {}", "{}\n{}", "not {} but {}"]))
def test_a_text_that_names_two_names_none(names: list[str], data: st.DataObject, form: str) -> None:
    one, other = data.draw(st.permutations(names))[:2]
    text = form.format(one, other)
    assume(
        " ".join(text.replace(",", " ").split()).replace(" ", "")
        not in {n.replace(" ", "") for n in names}
    )
    assert Labels(names).find(text) is None


@given(st.text(max_size=200))
def test_any_text_names_a_label_or_none(text: str) -> None:
    assert LABELS.find(text) in (*NAMES, None)


_PARTS = (
    *("<think>", "</think>", "{", "[", '{"label":', "{'a':", "a:", "label as ", "label:\n"),
    *("_ ", "'", '"', "*", "-", "card ", "1. ", "`", "```\n"),
)


@pytest.mark.parametrize("part", _PARTS)
def test_a_long_answer_takes_no_long_time(part: str) -> None:
    text = part * (100_000 // len(part))
    began = time.process_time()
    LABELS.find(text)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Sure! The label is: billing.",
        "Label: billing\nReason: the text speaks of shipping, too",
        '{\\"label\\":\\"billing\\"}',
        '"{\\"label\\":\\"billing\\"}"',
        "✅ billing",
        '{"billing": true, "shipping": false, "bug": false}',
    ],
)
def test_a_label_behind_a_sentence_or_before_its_reasons_is_found(text: str) -> None:
    assert Labels(["billing", "shipping", "bug"]).find(text) == "billing"


@pytest.mark.parametrize(
    "text",
    [
        '{"billing": true, "shipping": true, "bug": false}',
        '{"billing": false, "shipping": false}',
        "Label: billing\nLabel: shipping",
        "Label: billing\nor rather shipping",
    ],
)
def test_two_labels_or_none_are_not_one(text: str) -> None:
    assert Labels(["billing", "shipping", "bug"]).find(text) is None


@pytest.mark.parametrize(
    ("said", "label"),
    [("İADE", "iade"), ("KIRIK", "kırık"), ("Kırık", "kırık"), ("مشـــكلة", "مشكلة")],
)
def test_case_and_stretching_of_other_alphabets_are_folded(said: str, label: str) -> None:
    assert ALPHABETS.find(json.dumps({"label": said})) == label
    assert ALPHABETS.find(said) == label
