"""``classify`` and ``chat`` against llama.cpp: structure, endings, refusals, and its death."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.real_model.command import Workplace, ended
from tests.real_model.llama_server import CONTEXT, LlamaServer, serving

pytestmark = pytest.mark.process

LABELS = ["delivery", "billing", "praise"]
COMPLAINTS = [
    "My parcel is a week late.",
    "You charged my card twice.",
    "Wonderful service, thank you!",
    "The courier left it in the rain.",
    "Where is my refund?",
    "I love the new colours.",
    "Nothing has arrived yet.",
    "The invoice has the wrong name.",
]
QUESTIONS = [
    "What is the capital of France? Answer in one word.",
    "Tell me a long story about a ship.",
    "What is 1 + 1? Answer with the number alone.",
    "Explain how rain forms.",
    "Say hello.",
    "List ten animals.",
]
# No chance and no memory: the answer to a conversation depends on it alone.
STEADY = {"temperature": 0, "cache_prompt": False}
STEADY_FLAGS = [f"--param={name}={str(value).lower()}" for name, value in STEADY.items()]


async def ask(server: LlamaServer, question: str, max_tokens: int) -> dict[str, Any]:
    """The server's own first choice."""
    body = {
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        **STEADY,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.base_url}/chat/completions", json=body) as response,
    ):
        answer = await response.json()
    assert response.status == 200, answer
    choice: dict[str, Any] = answer["choices"][0]
    return choice


def prompted(here: Workplace, *options: str) -> tuple[str, ...]:
    """The options of ``chat`` with each row's text as the prompt."""
    here.directory.joinpath("prompt.j2").write_text("{{ text }}")
    return ("--prompt", "prompt.j2", *options)


def test_every_row_gets_one_of_the_labels(here: Workplace, chat: LlamaServer) -> None:
    here.write(COMPLAINTS)
    code, said = here.run(
        "classify", "--text", "text", "--labels", ",".join(LABELS), "--confidence",
        "--base-url", chat.base_url, key="",
    )  # fmt: skip

    assert code == 0, said
    records = here.records()
    assert [record["row"] for record in records] == list(range(8))
    assert {record["label"] for record in records} <= set(LABELS)
    assert all(0 < record["confidence"] <= 1 for record in records)
    assert here.manifest["requests"] == 8
    assert here.manifest["tokens"]["completion"] >= 8


async def test_an_answer_is_the_servers_and_says_where_it_was_cut(
    here: Workplace, chat: LlamaServer
) -> None:
    here.write(QUESTIONS)
    options = prompted(
        here, "--max-tokens", "16", "--base-url", chat.base_url, "--concurrency", "1", *STEADY_FLAGS
    )
    code, said = here.run("chat", *options, key="")

    assert code == 0, said
    records = here.records()
    assert len(records) == len(QUESTIONS)
    for record, question in zip(records, QUESTIONS, strict=True):
        choice = await ask(chat, question, 16)
        assert record["output"] == choice["message"]["content"] != ""
        cut = choice["finish_reason"] == "length"
        assert record.get("finish_reason") == ("length" if cut else None)
    assert {record.get("finish_reason") for record in records} == {"length", None}

    counted = chat.counters()
    code, said = here.run("chat", *options, key="")
    assert code == 0, said
    assert here.records() == records
    assert here.manifest["requests"] == len(QUESTIONS)
    assert chat.counters() == counted


def test_a_conversation_above_the_context_is_a_dead_letter_alone(
    here: Workplace, chat: LlamaServer
) -> None:
    here.write([QUESTIONS[0], "rain " * (CONTEXT + 200), QUESTIONS[4]])
    options = prompted(here, "--max-tokens", "4", "--base-url", chat.base_url)
    code, said = here.run("chat", *options, key="")

    assert code == 3, said
    assert [record["row"] for record in here.records()] == [0, 2]
    assert [(letter["row"], letter["code"]) for letter in here.letters] == [
        (1, "exceed_context_size_error")
    ]


def test_a_server_that_embeds_nothing_ends_the_run_at_once(
    here: Workplace, chat: LlamaServer
) -> None:
    here.write(COMPLAINTS)
    code, said = here.run("embed", "--text", "text", "--base-url", chat.base_url, key="")

    assert code == 2, said
    assert "does not support embeddings" in said
    assert here.records() == here.letters == []


def test_a_server_killed_under_a_run_and_started_again_costs_no_row(
    here: Workplace, tmp_path: Path
) -> None:
    here.write([f"{question} ({number})" for number in range(3) for question in QUESTIONS])
    with serving("chat", tmp_path / "first.log") as first:
        options = prompted(here, "--max-tokens", "16", "--base-url", first.base_url)
        run = here.start("chat", *options, "--concurrency", "4", key="")
        try:
            while first.counters()["llamacpp:tokens_predicted_total"] < 48:
                assert run.poll() is None
                time.sleep(0.05)
            first.process.kill()
            first.process.wait()
            with serving("chat", tmp_path / "second.log", port=first.port):
                code, said = ended(run)
        finally:
            run.kill()

    assert code == 0, said
    assert [record["row"] for record in here.records()] == list(range(18))
    assert all(record["output"] for record in here.records())
    manifest = here.manifest
    assert manifest["requests"] > 18
    assert 1 <= manifest["billed_twice_at_most"]["requests"] <= manifest["requests"] - 18
