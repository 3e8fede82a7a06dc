"""What a worker tells of itself, and whether it hears the database."""

from __future__ import annotations

from batcher.core.errors import StoreError
from batcher.engine.fleet.worker_telemetry import WorkerTelemetry
from batcher.ports import Event
from tests.engine.fleet.crew import Events
from tests.fakes import FakeClock


async def test_the_database_is_heard_for_so_long_and_not_after_it_failed() -> None:
    clock, events = FakeClock(), Events()
    telemetry = WorkerTelemetry(events, clock)
    assert not telemetry.has_heard(15.0)
    telemetry.heard()
    await clock.advance(14.999)
    assert telemetry.has_heard(15.0)
    await clock.advance(0.001)
    assert not telemetry.has_heard(15.0)
    telemetry.heard()
    telemetry.lost_the_store(StoreError("the words of a database quote rows"))
    assert not telemetry.has_heard(15.0)
    assert telemetry.meters.store_errors == 1
    assert events.of(Event.STORE_LOST) == [{"error": "StoreError"}]


def test_what_failed_is_told_by_its_type_and_place_and_never_by_its_words() -> None:
    events = Events()
    telemetry = WorkerTelemetry(events, FakeClock())
    try:
        raise ValueError("the words may quote a prompt")
    except ValueError as error:
        telemetry.stumbled("look", error)
    (facts,) = events.of(Event.ERRAND_FAILED)
    assert (facts["errand"], facts["error"]) == ("look", "ValueError")
    assert str(facts["where"]).startswith("test_worker_telemetry.py:")
    assert "prompt" not in str(events.told)


def test_runs_of_a_kind_and_model_share_a_meter() -> None:
    telemetry = WorkerTelemetry(Events(), FakeClock())
    one, same = telemetry.sinks("chat", "m"), telemetry.sinks("chat", "m")
    assert one.meter is same.meter is telemetry.meters.of("chat", "m")
    assert telemetry.sinks("embed", "m").meter is not one.meter
