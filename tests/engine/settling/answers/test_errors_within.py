"""A 200 with an error in place of its result: judged as if it had its status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.answering import Answer, Body, answering, asked, chat, vectors
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import open_work, words


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


def once_bad(bad: Answer, times: int) -> Any:
    """Answers a row that says ``odd`` so for the first ``times``, and all else well."""
    left = [times]

    def answer(body: Body, number: int) -> Answer:
        texts = body["input"] if "input" in body else [asked(body)]
        if any("odd" in text for text in texts) and left[0]:
            left[0] -= 1
            return bad
        return vectors(body) if "input" in body else chat("fine")

    return answer


TEXTS = [f"text {number}" for number in range(20)]


@pytest.mark.parametrize(
    "bad", [error("Rate limit exceeded", code=429), error("slow", type="rate_limit_error")]
)
@in_virtual_time
async def test_a_rate_limit_takes_no_attempt(here: Path, bad: Answer) -> None:
    async with open_work(here) as work, answering(once_bad(bad, 8)) as server:
        texts = [*TEXTS, "odd"]
        ran = await work.run(work.chat(texts, base_url=server.base_url))

        assert ran.done == list(range(21))
        assert ran.report.exit_code == 0
        assert ran.report.doubt_requests == 0
        assert ran.report.prompt_tokens == 210


@pytest.mark.parametrize(
    "bad", [error("pay first", code="insufficient_quota"), error("no", code=402)]
)
@in_virtual_time
async def test_without_credit_the_job_is_paused(here: Path, bad: Answer) -> None:
    async with open_work(here) as work, answering(once_bad(bad, 1)) as server:
        ran = await work.run(work.chat([*TEXTS, "odd"], base_url=server.base_url))

        assert ran.report.exit_code == 5
        assert ran.report.rows_failed == 0


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (
            error("by the filter", code="content_policy_violation"),
            "content_policy_violation",
        ),
        (error("flagged", type="invalid_request_error", param="messages"), "invalid_request_error"),
        (error("flagged", code=403), "403"),
        (error("broken", code=502), "502"),
        ({"object": "error", "message": "flagged", "type": "BadRequestError", "code": 400}, None),
    ],
)
@pytest.mark.parametrize("kind", ["chat", "embed"])
@in_virtual_time
async def test_a_refusal_of_the_row_is_its_dead_letter_in_the_providers_words(
    here: Path, bad: Answer, code: str | None, kind: str
) -> None:
    async with open_work(here) as work, answering(once_bad(bad, 10**6)) as server:
        texts = [*TEXTS[:10], "odd 77", *TEXTS[10:]]
        spec = work.chat if kind == "chat" else work.embed
        ran = await work.run(spec(texts, base_url=server.base_url))

        assert list(ran.failed) == [10]
        assert len(ran.done) == 20
        assert ran.errors[0]["message"] in ("by the filter", "flagged", "broken")
        assert code is None or ran.errors[0]["code"] == code


@in_virtual_time
async def test_a_wrong_key_stops_the_run(here: Path) -> None:
    bad = error("Invalid API key", code="invalid_api_key")
    async with open_work(here) as work, answering(lambda body, number: bad) as server:
        ran = await work.run(work.chat(list(words(30)), base_url=server.base_url))

        assert ran.report.exit_code == 2
        assert len(server) == 4


@in_virtual_time
async def test_what_an_error_says_that_it_cost_is_counted(here: Path) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    bad = {**error("filtered", code="content_policy_violation"), "usage": usage}
    async with open_work(here) as work, answering(once_bad(bad, 10**6)) as server:
        ran = await work.run(work.chat(["good", "odd"], base_url=server.base_url))

        assert (ran.report.prompt_tokens, ran.report.completion_tokens) == (17, 8)
