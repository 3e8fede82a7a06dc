"""When everybody fails it is an outage; one success ends it."""

from __future__ import annotations

from batcher.core.failures.outage import ALIKE, OUTAGE_AFTER_SECONDS, PROBES, Health, Span


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
    health.rate_limited(500.0, "Quota exceeded")
    health.failed(600.0, "http_503")
    assert health.given_up(899.0, 900.0) is None
    assert health.given_up(900.0, 900.0) == (
        "nothing but rate limit answers (429) for 900 s; the provider says: Quota exceeded"
    )
    health.succeeded(901.0, 900.0)
    assert health.given_up(2000.0, 900.0) is None


def test_the_timeout_of_an_outage_holds_for_rate_limits_too() -> None:
    health = Health()
    health.rate_limited(0.0)
    assert health.given_up(59.0, 60.0) is None
    assert "429" in (health.given_up(60.0, 60.0) or "")
    assert health.given_up(3599.0, 3600.0) is None


# --- refusals -------------------------------------------------------------------------------------


def refuse(
    health: Health, first: int, last: int | None = None, *, alone: bool = True, by: str = "403"
) -> bool:
    span = Span(1, first, first if last is None else last)
    return health.refused(0.0, by, span, enough=ALIKE, probes=PROBES, alone=alone)


def test_distinct_requests_refused_alike_are_everybody_after_a_few_probes() -> None:
    health = Health()
    ended = [refuse(health, number) for number in range(ALIKE + PROBES)]
    assert ended == [False] * (ALIKE + PROBES - 1) + [True]
    assert health.is_probing(0.0)


def test_one_request_refused_again_and_again_is_not_everybody() -> None:
    health = Health()
    assert not any(refuse(health, 7) for _ in range(100))
    assert not health.is_probing(0.0)


def test_refusals_that_are_not_alike_are_not_everybodys() -> None:
    health = Health()
    for number in range(ALIKE - 1):
        assert not refuse(health, number, by="403")
        assert not refuse(health, number, by="404")
    assert not health.is_probing(0.0)


def test_parts_of_a_refused_request_stand_for_it() -> None:
    health = Health()
    assert not any(refuse(health, 0, last) for last in range(1024, -1, -1))
    assert not health.is_probing(0.0)
    assert not any(refuse(health, number) for number in range(1, ALIKE))
    assert health.is_probing(0.0)


def test_the_same_pieces_of_another_shard_are_another_request() -> None:
    health = Health()
    for shard in range(ALIKE):
        assert not health.is_probing(0.0)
        health.refused(0.0, "403", Span(shard, 0, 9), enough=ALIKE, probes=PROBES, alone=True)
    assert health.is_probing(0.0)


def test_a_success_removes_every_doubt() -> None:
    health = Health()
    for number in range(ALIKE + PROBES - 1):
        refuse(health, number)
    health.succeeded(1.0, 0.5)
    assert not health.is_probing(1.0)
    assert not any(refuse(health, number) for number in range(ALIKE + PROBES - 1))


def test_a_success_that_was_sent_before_a_refusal_says_nothing_of_it() -> None:
    health = Health()
    for number in range(ALIKE):
        health.refused(
            2.0, "403", Span(1, number, number), enough=ALIKE, probes=PROBES, alone=False
        )
        health.succeeded(2.1, 1.9)
    assert health.is_probing(2.1)
    health.succeeded(2.3, 2.2)
    assert not health.is_probing(2.3)


def test_what_was_in_flight_together_is_no_probe() -> None:
    health = Health()
    assert not any(refuse(health, number, alone=False) for number in range(100))
    assert health.is_probing(0.0)
    assert [refuse(health, number) for number in range(PROBES)] == [False, False, True]


def test_a_cause_that_lasts_is_believed_after_a_few_probes() -> None:
    health = Health()
    assert [health.lasts(alone=True) for _ in range(1 + PROBES)] == [False] * PROBES + [True]


def test_where_answers_take_long_no_silence_of_that_length_is_an_outage() -> None:
    health = Health(answer_seconds=7200.0)
    health.failed(0.0, "http_503")
    assert not health.in_outage(7200.0)
    assert health.given_up(7200.0, 900.0) is None
    assert health.in_outage(7200.0 + OUTAGE_AFTER_SECONDS)
    assert health.given_up(7200.0 + 900.0, 900.0) is not None
