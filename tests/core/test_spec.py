"""A job's description: checked when made, and the same after a way through JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from batcher.core.errors import UsageError
from batcher.core.spec import JobSpec

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
        ({**LEAST, "rpm": "10"}, "--rpm has the wrong type"),
        ({**LEAST, "rpm": True}, "--rpm has the wrong type"),
        ({**LEAST, "rpm": 1.5}, "--rpm has the wrong type"),
        ({**LEAST, "timeout": "1"}, "--timeout has the wrong type"),
        ({**LEAST, "simulate": 1}, "--simulate has the wrong type"),
        ({**LEAST, "options": []}, "--options has the wrong type"),
        ({**LEAST, "id": 3}, "--id has the wrong type"),
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
