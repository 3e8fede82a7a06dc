"""A job's description: checked when made, and the same after a way through JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec
from batcher.core.text import exactjson

LEAST: dict[str, Any] = {"kind": "embed", "input": "in.csv", "model": "m"}


def test_a_spec_survives_json() -> None:
    spec = JobSpec(
        **LEAST,
        options={"text": "body"},
        headers={"X-Team": "a"},
        params={"seed": 1},
        max_cost=Decimal("0.10"),
        price="1,2",
        timeout=5.5,
        rpm=10,
        keep_input=False,
        simulate=True,
    )
    assert JobSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert JobSpec.from_json(LEAST) == JobSpec(**LEAST)


@pytest.mark.parametrize("name", ["limit", "timeout", "rpm", "tpm", "concurrency", "max_cost"])
@pytest.mark.parametrize("value", [0, -1])
def test_amounts_are_positive(name: str, value: int) -> None:
    with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
        JobSpec(**{**LEAST, name: value})


@pytest.mark.parametrize("name", ["timeout", "outage_timeout", "grace_seconds"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e300])
def test_seconds_are_a_number_that_ends(name: str, value: float) -> None:
    """JSON has no word for the others, and a job that is kept is JSON."""
    with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
        JobSpec(**{**LEAST, name: value})


def test_a_budget_is_at_most_what_the_database_holds() -> None:
    assert JobSpec(**LEAST, max_cost=Decimal(9_000_000)).max_cost == 9_000_000
    with pytest.raises(UsageError, match="--max-cost must be at most"):
        JobSpec(**LEAST, max_cost=Decimal("1e30"))


NOT_JSON = st.sampled_from([math.nan, math.inf, b"x", {1}, object(), Decimal(1), "\0"])
PYTHON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), NOT_JSON),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner), st.tuples(inner)),
    max_leaves=4,
)


@given(name=st.sampled_from([f.name for f in dataclasses.fields(JobSpec)]), value=PYTHON)
def test_a_value_of_any_type_is_taken_or_refused(name: str, value: Any) -> None:
    """From Python as from a file: what is taken comes back from JSON as it was."""
    try:
        spec = JobSpec(**{**LEAST, name: value})
    except UsageError:
        return
    if name != "options":  # whose values are the kind's to check
        assert JobSpec.from_json(exactjson.loads(exactjson.dumps(spec.to_json()))) == spec


def test_nothing_said_is_the_default() -> None:
    """``None`` in Python, ``null`` in a job that is kept."""
    for field in dataclasses.fields(JobSpec):
        if field.name not in LEAST:
            assert JobSpec(**{**LEAST, field.name: None}) == JobSpec(**LEAST)


def test_paths_may_be_path_objects() -> None:
    spec = JobSpec(**{**LEAST, "input": Path("in.csv")}, options={"prompt": Path("p.j2")})
    assert (spec.input, spec.options) == ("in.csv", {"prompt": "p.j2"})


def test_a_header_may_be_a_number_and_is_not_quoted_where_it_is_wrong() -> None:
    numbered: Any = {"X-Team": 5}
    listed: Any = {"X-Team": ["s3cret"]}
    assert JobSpec(**LEAST, headers=numbered).headers == {"X-Team": "5"}
    with pytest.raises(UsageError, match="--header X-Team is not text") as refused:
        JobSpec(**LEAST, headers=listed)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "more",
    [
        {"grace_seconds": -1.0},
        {"format": "xml"},
        {"on_error": "ignore"},
        {"priority": "urgent"},
        {"on_bad_row": "keep"},
        {"price": "cheap"},
        {"headers": {"Authorization": "Bearer abc"}},
        {"headers": {"x-api-KEY": "abc"}},
        {"headers": {"Cookie": "abc"}},
    ],
)
def test_values_out_of_range_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        JobSpec(**LEAST, **more)


@pytest.mark.parametrize("value", ["Bearer $KEY", "${KEY}", "$MY_KEY_2"])
def test_a_credential_is_named_not_held(value: str) -> None:
    assert JobSpec(**LEAST, headers={"Authorization": value}).headers["Authorization"] == value


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({**LEAST, "modle": "m"}, "unknown setting: modle"),
        ({"kind": "embed", "input": "x"}, "missing setting: model"),
        ({**LEAST, "model": ""}, "missing setting: model"),
        ({**LEAST, "rpm": "10"}, "--rpm is a whole number, not '10'"),
        ({**LEAST, "rpm": True}, "--rpm is a whole number, not True"),
        ({**LEAST, "rpm": 1.5}, "--rpm is a whole number, not 1.5"),
        ({**LEAST, "timeout": "1"}, "--timeout is a number, not '1'"),
        ({**LEAST, "simulate": 1}, "--simulate is true or false, not 1"),
        ({**LEAST, "options": []}, "--options is a table of names and values, not "),
        ({**LEAST, "id": 3}, "--id is a text, not 3"),
        ({**LEAST, "max_cost": "much"}, "--max-cost is an amount"),
        ({**LEAST, "max_cost": "nan"}, "--max-cost is an amount"),
        ({**LEAST, "max_cost": "Infinity"}, "--max-cost is an amount"),
    ],
)
def test_job_files_are_checked(plain: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        JobSpec.from_json(plain)


@pytest.mark.parametrize("amount", [3, 2.5, "2.50"])
def test_max_cost_is_exact(amount: Any) -> None:
    spec = JobSpec.from_json({**LEAST, "max_cost": amount})
    assert spec.max_cost == Decimal(str(amount))
