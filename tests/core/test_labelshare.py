"""The share of a label is that of the labels alone, whatever else a model might have said."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batcher.core.labelshare import TokenChoice, label_share

LABELS = st.lists(
    st.text(alphabet="ab c", min_size=1, max_size=4).map(str.strip).filter(bool),
    min_size=2, max_size=5, unique=True,
)  # fmt: skip


def spelled_out(
    weights: dict[str, float], label: str, *, junk: float, size: int
) -> list[TokenChoice]:
    """An answer by a model that gives each label its weight, and ``junk`` to other words.

    Each token is up to ``size`` characters of a label and its closing quote.
    """
    spelled = {name: json.dumps(name)[1:] for name in weights}
    target = spelled[label]
    tokens = [TokenChoice('{"label": "', 0.0)]
    for at in range(0, len(target), size):
        left = {name: text for name, text in spelled.items() if text.startswith(target[:at])}
        total = sum(weights[name] for name in left)
        mass: dict[str, float] = {}
        for name, text in left.items():
            token = text[at : at + size]
            mass[token] = mass.get(token, 0.0) + weights[name] / total * (1 - junk)
        mass["#nothing"] = junk
        chosen = target[at : at + size]
        others = [(token, math.log(p)) for token, p in mass.items() if p and token != chosen]
        tokens.append(TokenChoice(chosen, math.log(mass[chosen]), others))
    return [*tokens, TokenChoice("}", 0.0)]


@given(LABELS, st.data(), st.sampled_from([0.0, 0.3, 0.9]), st.integers(1, 4))
def test_the_share_is_the_label_s_weight_on_every_server(
    labels: list[str], data: st.DataObject, junk: float, size: int
) -> None:
    weights = {label: data.draw(st.floats(0.05, 1.0)) for label in labels}
    label = data.draw(st.sampled_from(labels))
    share = label_share(spelled_out(weights, label, junk=junk, size=size), label, labels)
    total = sum(weights.values())
    assert share == pytest.approx(weights[label] / total, abs=1e-5)


@given(LABELS, st.data())
def test_shares_of_all_labels_are_one(labels: list[str], data: st.DataObject) -> None:
    assume(len(labels) > 1)
    weights = {label: data.draw(st.floats(0.05, 1.0)) for label in labels}
    shares = [
        label_share(spelled_out(weights, label, junk=0.2, size=2), label, labels)
        for label in labels
    ]
    assert sum(share or 0 for share in shares) == pytest.approx(1, abs=1e-4)


def test_a_token_that_begins_before_the_label_counts_with_what_it_holds() -> None:
    tokens = [
        TokenChoice('{"label":"r', math.log(0.5), [('{"label":"g', math.log(0.25)), ("{", -0.1)]),
        TokenChoice("ed", 0.0),
        TokenChoice('"}', 0.0),
    ]
    assert label_share(tokens, "red", ("red", "green")) == pytest.approx(2 / 3, abs=1e-6)


def test_without_alternatives_it_is_the_joint_probability() -> None:
    tokens = [TokenChoice("gr", -0.2), TokenChoice("een", -0.3)]
    assert label_share(tokens, "green", ("red", "green")) == pytest.approx(math.exp(-0.5), abs=1e-6)


def test_another_case_and_json_s_spelling_are_found() -> None:
    tokens = [TokenChoice("GR", math.log(0.5), [("re", math.log(0.5))]), TokenChoice("EEN", 0.0)]
    assert label_share(tokens, "green", ("red", "green")) == 0.5
    escaped = [TokenChoice('"gr\\u00fcn"', math.log(0.5), [('"rot"', math.log(0.5))])]
    assert label_share(escaped, "grün", ("rot", "grün")) == 0.5


def test_the_same_label_in_other_tokens_is_its_own() -> None:
    tokens = [TokenChoice("gr", math.log(0.4), [("g", math.log(0.4)), ("red", math.log(0.2))])]
    assert label_share([*tokens, TokenChoice("een", 0.0)], "green", ("red", "green")) == 0.8


@pytest.mark.parametrize("logprob", [math.nan, -math.inf, math.inf])
def test_odd_logprobs_make_no_share(logprob: float) -> None:
    tokens = [TokenChoice("green", logprob, [("red", -1.0)])]
    assert label_share(tokens, "green", ("red", "green")) is None
    assert label_share([], "green", ("red", "green")) is None
