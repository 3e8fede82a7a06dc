"""The failure table, and where each of its rows is shown over HTTP.

``TABLE`` has the rows in the order in which they are decided (the first match wins); of each it
names the variants and the tests that show them. A row without a test, or a fault of the simulator
that no test asks for, is an omission: both are looked for here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from batcher.simulator.faults.due import FAULTS

HERE = Path(__file__).parent
TABLE: Mapping[str, Mapping[str, str]] = {
    "request too large: halved; a single piece is a dead letter": {
        "413, llama.cpp's 5xx, 429 without a code": (
            "test_a_request_that_is_too_large_is_halved_until_one_row_is_left"
        ),
        "429 of a limit of tokens a minute": (
            "test_a_request_above_the_limit_of_a_minute_is_split_whatever_the_code"
        ),
        "400 max_tokens_per_request": "test_more_tokens_than_a_request_may_have_are_split",
        "a single piece": "test_a_single_row_above_a_limit_is_a_dead_letter",
    },
    "out of credit: paused": {
        "every code, in code or type, any 4xx; 402": (
            "test_without_credit_the_job_is_paused_and_goes_on_later"
        ),
    },
    "a limit for long: paused, with the time": {
        "a daily limit; retry-after above ten minutes, also as a date; Azure's day": (
            "test_a_limit_for_a_long_time_pauses_the_job_and_says_until_when"
        ),
        "the time in the message alone": (
            "test_a_daily_limit_without_a_header_says_the_time_in_its_message"
        ),
        "many rows are halved once first": (
            "test_many_rows_at_a_limit_for_long_are_halved_once_before_the_job_is_paused"
        ),
        "and may fit then": "test_a_request_that_azure_sends_away_for_a_day_fits_in_halves",
        "15 minutes of 429": "test_a_quarter_of_an_hour_of_429_pauses_the_job",
        "the same, with the time": (
            "test_a_quarter_of_an_hour_of_429_says_when_the_last_wait_is_over"
        ),
        "but only without a success": "test_success_in_between_ends_the_quarter_of_an_hour",
    },
    "slow_down: as any 429, and slowly afterwards": {
        "the rate": "test_after_slow_down_the_rate_comes_back_slowly",
    },
    "any other 429: a shared pause": {
        "no attempt is taken, with and without code, in every dialect": (
            "test_a_rate_limit_takes_none_of_a_rows_attempts"
        ),
        "for as long as it says: ms, seconds, a date, nothing": (
            "test_everyone_waits_as_long_as_a_429_says"
        ),
        "one pause for one burst": "test_the_429s_of_one_burst_pause_everyone_once",
        "Azure's": "test_its_429_takes_no_attempt_and_is_waited_for",
        "without any word on time": (
            "test_a_429_that_says_wait_for_nothing_is_not_answered_by_a_hail_of_requests"
        ),
    },
    "401, 403, 404: stopped": {
        "each, in every dialect, whatever x-should-retry says": (
            "test_what_fails_all_requests_alike_stops_the_job_after_a_few"
        ),
        "Azure's": "test_what_is_wrong_with_every_request_stops_the_job",
        "a path": "test_a_path_that_is_none_stops_the_job",
        "in the middle": "test_a_stop_in_the_middle_keeps_what_is_done",
    },
    "unsupported max_tokens: renamed": {
        "once, and for a resumed run": (
            "test_max_tokens_is_renamed_for_the_rest_of_the_job_after_one_refusal"
        ),
    },
    "another parameter, or ten rows alike before any success: stopped": {
        "a param that is not the input; other unsupported_*": (
            "test_what_fails_all_requests_alike_stops_the_job_after_a_few"
        ),
        "an optional one is dropped": "test_encoding_format_is_dropped_where_a_server_refuses_it",
        "ten requests": "test_ten_rows_alike_before_any_success_stop_the_job",
        "ten of one request": (
            "test_ten_rows_alike_of_one_request_before_any_success_stop_the_job"
        ),
        "nine are not ten": (
            "test_rows_that_failed_before_the_first_success_are_dead_letters_after_it"
        ),
    },
    "400/422 on many pieces: bisected": {
        "at most 2n-1 calls": "test_bad_rows_are_found_by_bisection",
    },
    "400/422 on one piece, a filter, a refusal: dead letter": {
        "each, whatever x-should-retry says": (
            "test_a_row_that_the_provider_will_not_answer_is_a_dead_letter"
        ),
        "Azure's filter": "test_its_content_filter_is_a_dead_letter",
    },
    "finish_reason length": {
        "of a chat, a result that says so": "test_an_answer_that_was_cut_off_says_so",
        "of structured output, invalid": "test_invalid_output_is_repaired_twice_at_most",
        "without a text, a dead letter at once": (
            "test_such_rows_among_others_are_dead_letters_at_once"
        ),
        "of all the first answers, stopped": (
            "test_when_no_answer_begins_before_the_limit_the_job_stops"
        ),
    },
    "another finish_reason: told, or a failure where the provider says so": {
        "in every dialect": "test_an_end_is_a_result_that_says_so_or_a_failure",
        "of all the first answers, stopped": (
            "test_a_provider_that_breaks_every_answer_off_stops_the_job"
        ),
    },
    "invalid structured output: two repairs": {
        "then a dead letter": "test_invalid_output_is_repaired_twice_at_most",
        "of all the first answers, stopped": (
            "test_when_the_first_twenty_answers_are_invalid_the_job_stops_with_an_example"
        ),
        "unless they are few": "test_a_few_rows_that_are_invalid_end_as_dead_letters",
    },
    "an answer whose indexes are not those of its texts: nobody's, again, and stopped": {
        "always, or never from some time on": (
            "test_indexes_that_become_wrong_stop_the_job_soon_and_keep_what_is_done"
        ),
        "now and then": "test_one_of_two_backends_that_numbers_wrongly_costs_no_row",
    },
    "an answer that lacks, repeats or garbles pieces": {
        "vectors are asked for again, as base64 and as numbers": (
            "test_a_vector_that_is_none_is_asked_for_again"
        ),
        "six times": "test_a_vector_that_never_comes_is_a_dead_letter",
        "chats": "test_a_chat_without_an_answer_is_asked_again_and_in_the_end_a_dead_letter",
    },
    "408, 409, 5xx, connections, timeouts, garbled bodies: backoff": {
        "each passes": "test_a_failure_that_passes_is_tried_again",
        "what is nearly JSON is read": (
            "test_an_answer_that_is_nearly_json_is_kept_and_written_to_every_output"
        ),
        "full jitter, doubling": "test_backoff_doubles_from_half_a_second",
        "six attempts": "test_a_failure_of_one_row_alone_is_a_dead_letter_after_six_attempts",
        "many pieces are split": "test_a_failure_of_many_rows_is_split_while_others_succeed",
        "x-should-retry false ends it": (
            "test_an_error_that_the_provider_calls_final_is_not_tried_six_times"
        ),
        "x-should-retry true adds nothing": ("test_should_retry_gives_no_more_than_six_attempts"),
        "as long as it asks": "test_a_busy_provider_is_left_alone_as_long_as_it_asks",
    },
    "no success for 30 s: an outage": {
        "no row fails": "test_ten_minutes_of_outage_fail_no_row",
        "paused after the timeout": (
            "test_after_the_outage_timeout_the_job_is_paused_and_goes_on_later"
        ),
        "nobody there": "test_a_provider_that_was_never_there_pauses_the_job",
        "final errors": ("test_errors_that_the_provider_calls_final_do_not_bury_rows_in_an_outage"),
    },
    "any other 3xx/4xx: stopped": {
        "302, 418": "test_what_fails_all_requests_alike_stops_the_job_after_a_few",
    },
}


def sources() -> str:
    """The engine's tests but this one, as text."""
    files = HERE.parent.rglob("test_*.py")
    return "\n".join(file.read_text("utf-8") for file in files if file != Path(__file__))


@pytest.mark.parametrize("row", TABLE)
def test_each_row_has_its_tests(row: str) -> None:
    tests = set(re.findall(r"^async def (test_\w+)\(", sources(), re.MULTILINE))
    assert set(TABLE[row].values()) <= tests


def test_every_fault_of_the_simulator_is_asked_for() -> None:
    asked = sources()
    missing = [name for name in FAULTS if not re.search(rf'(?:fault=|"){name}(?!\w)', asked)]
    assert missing == []
