from __future__ import annotations

from typing import Any

import pytest

from batcher.simulator import SimulatorConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"rpm": 0},
        {"tpm": -1},
        {"rpm": float("nan")},
        {"bucket_seconds": 0},
        {"window": 0},
        {"latency_ms": -1},
        {"latency_spread": float("inf")},
        {"error_rate": 1.1},
        {"error_rate": 0.6, "hang_rate": 0.6},
        {"dimensions": 0},
        {"context_window": 0},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SimulatorConfig(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rpm": "5"},
        {"rpm": True},
        {"dimensions": 1.5},
        {"dimensions": True},
        {"charge": "later"},
        {"limit_shape": "round"},
        {"window_age": -1.0},
        {"limit_unit": "hour"},
        {"outage": "404"},
        {"retry_after": 1},
        {"api_key": 5},
        {"speed": 1},
    ],
)
def test_changes_have_the_types_of_the_fields(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SimulatorConfig().changed(wrong)


def test_changes_leave_the_rest() -> None:
    config = SimulatorConfig(rpm=5, seed=9)
    changed = config.changed(
        {"rpm": None, "tpm": 100, "charge": "usage", "outage": True, "api_key": "k"}
    )
    assert changed == SimulatorConfig(tpm=100, charge="usage", outage="503", api_key="k", seed=9)
    assert changed.changed({"outage": False}).outage is None
    assert changed.changed({"outage": "reset"}).outage == "reset"


def test_a_key_is_in_no_repr_and_no_json() -> None:
    config = SimulatorConfig(api_key="sk-secret")
    assert "sk-secret" not in repr(config)
    assert "sk-secret" not in str(config.as_dict())
