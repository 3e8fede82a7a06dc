"""Messages in Python speak of keywords, and nothing is left behind by a call that never began."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import batcher
from batcher.api.words import in_python
from tests.servers.ports import free_port

ROWS = [{"body": "late"}, {"body": "twice"}]
FLAG = re.compile(r"(?<![\w-])--[a-z]")


def refused(*what: Any, **job: Any) -> str:
    with pytest.raises(batcher.BatcherError) as caught:
        batcher.run(*what, **job)
    return str(caught.value)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"txet": "body"}, "chat has no option txet (did you mean text?)"),
    ({"RPM": 3}, "chat has no option RPM (did you mean rpm?)"),
    ({"max_workers": 3}, "chat has no option max_workers (did you mean concurrency?)"),
    ({"api_base": "x"}, "chat has no option api_base (did you mean base_url?)"),
    ({"temperature": 0}, 'a parameter of the requests is params={"temperature": …}'),
    ({"labels": ["a"]}, "chat has no option labels; it has constant_prompt, max_tokens, "),
    ({"text": "bdy", "simulate": True}, "there is no column 'bdy' (did you mean 'body'?)"),
    ({"prompt": "hello", "simulate": True}, "constant_prompt=True sends it as it is"),
    ({"text": "body", "prompt": "{{ body }}"}, "chat takes only one of prompt or text"),
    ({"text": "body", "rpm": "3"}, "rpm is a whole number, not '3'"),
    ({"text": "body", "headers": 3}, "headers is a table of names and values"),
    ({"text": "body", "since_last": True}, 'give this one a name with name="NAME", the same'),
    ({"text": "body", "params": {"stream": True}}, 'params["stream"]: answers are read whole'),
    ({"text": "body", "headers": {"Authorization": "x"}}, '{"Authorization": "$MY_SECRET"}'),
    ({"text": "body", "price": "x"}, "price takes IN,OUT or IN,OUT,CACHED,WRITTEN"),
    ({"text": "body", "base_url": "x"}, "base_url 'x' does not begin with http"),
    ({"text": "body", "tokenizer": "x", "simulate": True}, "tokenizer x is not available"),
    ({"text": "body", "max_cost": 1, "simulate": True}, "max_cost needs a bound on each answer"),
    ({"text": "body", "output": "no/x.csv", "simulate": True}, "there is no directory"),
]


@pytest.mark.parametrize(("job", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said_in_keywords(job: dict[str, Any], said: str) -> None:
    message = refused("chat", ROWS, model="gpt-6-luna", **job)
    assert said in message
    assert not FLAG.search(message)


def test_a_call_without_a_key_says_what_to_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    message = refused("chat", ROWS, model="gpt-6-luna", text="body")
    assert "name another variable with api_key_env" in message
    assert message.endswith("simulate=True")
    assert list(Path().iterdir()) == []


def column() -> Any:
    return pd.DataFrame(ROWS)["body"]


@pytest.mark.parametrize(
    ("what", "job", "said"),
    [
        (
            (pd.DataFrame(ROWS), "chat"),
            {},
            'the kind comes first, then the input: batcher.run("chat"',
        ),
        (("chat",), {}, "the input is missing: give a path, a list of dicts or a table"),
        (("chat", column()), {}, "Series>: is one column: give the table that it is of"),
        (("chat", pl.Series(["a"])), {}, "<polars.Series>: is one column: give the table"),
        (("chat", ["late"]), {}, "row 0 is of type str: rows are dicts"),
        (("chat", ROWS), {"progress": "bar"}, "progress is one of None, True, False, 'rich', "),
        (("chat", ROWS), {"failed_rows": "x"}, "failed_rows is one of 'omit', 'null', not 'x'"),
        (("chat", ROWS), {"settings": "x.db"}, "settings is a batcher.Settings, not of type str"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_given_in_the_wrong_place_is_told(
    what: tuple[Any, ...], job: dict[str, Any], said: str
) -> None:
    assert said in refused(*what, model="m", text="body", simulate=True, **job)


@pytest.mark.parametrize("table", [pd.DataFrame(ROWS), pl.DataFrame(ROWS)])
def test_a_table_is_no_list_of_texts(table: Any) -> None:
    """To go through a frame gives the names of its columns, which nobody wants to pay for."""
    classify = partial(batcher.classify, labels=["a", "b"])
    for call in (batcher.embed, batcher.chat, classify):
        with pytest.raises(batcher.BatcherError, match="give a column of texts, not a whole"):
            call(table, simulate=True)
    assert len(batcher.chat(table["body"], simulate=True)) == len(ROWS)


def test_a_slip_is_told_before_a_model_that_is_missing() -> None:
    assert "did you mean text?" in refused("chat", ROWS, txet="body")
    assert "did you mean 'chat'?" in refused("chatt", ROWS)
    assert refused("chat", ROWS, text="body") == (
        'model is missing: give its name, as in model="gpt-6-luna"'
    )


@pytest.mark.parametrize("given", [ROWS, "nothing.csv", []], ids=["rows", "path", "empty"])
def test_a_call_that_never_began_leaves_nothing_behind(given: Any) -> None:
    refused("chat", given, model="gpt-6-luna", text="bdy", simulate=True)
    assert list(Path().iterdir()) == []


def test_a_call_that_goes_on_says_where_nothing_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    report = batcher.run(
        "chat", ROWS, model="m", text="body", base_url=url, outage_timeout=1, progress="plain"
    )
    for said in (report.reason or "", batcher.report(report.job).reason or ""):
        assert f"nothing answers at {url}" in said
        assert "or set base_url to where it is" in said
    told = capsys.readouterr().err
    assert "or set base_url to where it is; trying again (outage_timeout says" in told
    assert not FLAG.search(told)


@pytest.mark.parametrize(
    ("said", "better"),
    [
        ("try --simulate", "try simulate=True"),
        ("or give --overwrite to replace it", "or give overwrite=True to replace it"),
        ("(--price IN,OUT gives one)", '(price="IN,OUT" gives one)'),
        ("--labels A,B lists them", 'labels="A,B" lists them'),
        ("--on-bad-row skip leaves", 'on_bad_row="skip" leaves'),
        ("; --max-inputs 1 sends", "; max_inputs=1 sends"),
        ("(--no-keep-input)", "(keep_input=False)"),
        ("give --format csv, json", "give format csv, json"),
        ("--param top_k is set", 'params["top_k"] is set'),
        ("of --param, and", "of params, and"),
        ("with --header 'A-B: $SECRET'", 'with headers={"A-B": "$SECRET"}'),
        ("check --model and --base-url (no)", "check model and base_url (no)"),
        ("name another with --db", "name another with settings=batcher.Settings(database_url=…)"),
        ("`batcher export --partial` writes", "`batcher export --partial` writes"),
        ("the same command goes on", "the same call goes on"),
        ("a--b and x --- y -- z", "a--b and x --- y -- z"),
    ],
)
def test_flags_in_keywords(said: str, better: str) -> None:
    assert in_python(said) == better
