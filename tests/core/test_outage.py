"""When everybody fails it is an outage; one success ends it."""

from __future__ import annotations

from batcher.core.outage import OUTAGE_AFTER_SECONDS, Health


def test_thirty_seconds_without_success_are_an_outage() -> None:
    health = Health()
    assert not health.in_outage(1000.0)
    health.failed(1000.0, "http_503")
    health.failed(1020.0, "http_503")
    assert not health.in_outage(1000.0 + OUTAGE_AFTER_SECONDS - 0.001)
    assert health.in_outage(1000.0 + OUTAGE_AFTER_SECONDS)
    assert health.probes == 0
    health.failed(1031.0, "http_503")
    health.failed(1040.0, "http_503")
    assert health.probes == 2


def test_a_success_ends_it() -> None:
    health = Health()
    health.failed(0.0, "http_503")
    health.failed(40.0, "http_503")
    health.succeeded(50.0, 45.0)
    assert not health.in_outage(90.0)
    assert health.probes == 0
    assert (health.last_success, health.proof) == (50.0, 45.0)
    health.failed(60.0, "http_503")
    assert not health.in_outage(89.0)
    assert health.in_outage(90.0)


def test_the_proof_is_the_latest_that_was_sent() -> None:
    health = Health()
    health.succeeded(10.0, 9.0)
    health.succeeded(11.0, 2.0)
    assert (health.last_success, health.proof) == (11.0, 9.0)


def test_a_rate_limit_proves_that_somebody_is_there() -> None:
    health = Health()
    health.failed(0.0, "http_503")
    health.rate_limited(20.0)
    assert not health.in_outage(100.0)
    health.failed(100.0, "http_503")
    assert health.in_outage(130.0)


def test_given_up_after_the_timeout() -> None:
    health = Health()
    assert health.given_up(1e9, 1.0) is None
    health.failed(100.0, "http_503")
    assert health.given_up(999.9, 900.0) is None
    assert health.given_up(1000.0, 900.0) == ("no request succeeded for 900 s (the last: http_503)")


def test_given_up_after_a_quarter_of_an_hour_of_rate_limits() -> None:
    health = Health()
    health.rate_limited(0.0)
    health.rate_limited(500.0)
    health.failed(600.0, "http_503")
    assert health.given_up(899.0, 1e9) is None
    assert "429" in (health.given_up(900.0, 1e9) or "")
    health.succeeded(901.0, 900.0)
    assert health.given_up(2000.0, 1e9) is None
