"""A job's description: four parts, one flat form, read once and the same again."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import DamagedStore
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.description import Description
from batcher.core.job.description_parts import InputPart, ProviderPart, WorkPart
from batcher.core.job.since import Since
from batcher.core.job.spec import JobSpec
from batcher.core.kind import TextFile
from tests.store.making import make_description

PARTS = (WorkPart, InputPart, ProviderPart)


def settings_of(spec: JobSpec) -> list[str]:
    return [name for part in PARTS for name in part.of(spec).settings()]


def test_each_setting_belongs_to_exactly_one_part() -> None:
    spec = JobSpec(kind="embed", input="in.csv", model="m")
    assert sorted(settings_of(spec)) == sorted(field.name for field in dataclasses.fields(JobSpec))


def test_the_parts_say_what_the_flat_form_says() -> None:
    described = make_description(
        input="s.csv", rpm=5, max_cost=Decimal("0.5"), headers={"X-Team": "a"}, limit=3, name="n"
    )
    assert described.work.name == "n"
    assert described.work.max_cost == Decimal("0.5")
    assert (described.input.address, described.input.limit) == ("s.csv", 3)
    assert (described.provider.rpm, described.provider.headers) == (5, {"X-Team": "a"})
    assert WorkPart.of(described.spec) == described.work
    assert InputPart.of(described.spec) == described.input
    assert ProviderPart.of(described.spec) == described.provider


DELIVERIES = st.one_of(
    st.none(),
    st.builds(
        DeliverySpec,
        output=st.text(min_size=1).filter(lambda text: "\0" not in text),
        format=st.sampled_from([None, "csv"]),
        overwrite=st.booleans(),
        csv_safe=st.booleans(),
        failed_rows=st.sampled_from(["omit", "null"]),
    ),
)


@given(delivery=DELIVERIES, limit=st.none() | st.integers(1, 9), since=st.booleans())
def test_a_description_survives_json(
    delivery: DeliverySpec | None, limit: int | None, since: bool
) -> None:
    described = dataclasses.replace(
        make_description(limit=limit, max_cost=Decimal("0.10"), params={"seed": 1}),
        delivery=delivery,
        files={"template": TextFile("t.j2", "{{ body }}")},
        since=Since(job="j0", rows=3, differs=("the model",)) if since else None,
        recipe="ab",
    )
    plain = json.loads(json.dumps(described.to_json()))
    assert Description.of_stored("j1", plain) == described


def test_what_is_stored_is_as_flat_as_a_job_file() -> None:
    """So a database that an earlier version made is read, and that version reads ours."""
    described = make_description(limit=3)
    assert described.to_json()["job"] == described.spec.to_json()
    assert "delivery" not in described.to_json()


EARLIER: dict[str, Any] = {
    "job": {"kind": "embed", "input": "in.csv", "model": "m", "options": {"text": "body"}},
    "shape": "vector", "fields": [{"name": "embedding", "type": "vector"}], "overlong": "error",
    "kind_version": 1, "files": {},
}  # fmt: skip
"""What the first version kept."""


def test_what_earlier_versions_kept_is_read() -> None:
    described = Description.of_stored("j1", EARLIER)
    assert (described.work.kind, described.endpoint) == ("embed", "/embeddings")
    assert (described.recipe, described.since, described.delivery) == ("", None, None)


@pytest.mark.parametrize("lacking", EARLIER)
def test_what_makes_no_sense_is_damage(lacking: str) -> None:
    with pytest.raises(DamagedStore, match="job j1: the database is damaged"):
        Description.of_stored("j1", {key: EARLIER[key] for key in EARLIER if key != lacking})


@pytest.mark.parametrize("nonsense", [None, [], "text", 3, {"job": 3}])
def test_anything_else_is_damage(nonsense: Any) -> None:
    with pytest.raises(DamagedStore, match="job j1"):
        Description.of_stored("j1", nonsense)


def test_what_only_a_later_version_understands_is_told_as_such() -> None:
    later = EARLIER | {"job": EARLIER["job"] | {"hyperdrive": True}}
    with pytest.raises(DamagedStore, match=r"unknown setting: hyperdrive.*later version"):
        Description.of_stored("j1", later)
