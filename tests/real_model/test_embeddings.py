"""``embed`` against llama.cpp: whole vectors, the server's own, and what it refuses."""

from __future__ import annotations

from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
import pytest

from tests.real_model.command import Workplace
from tests.real_model.llama_server import DIMENSION, KEY, PHYSICAL_BATCH, LlamaServer

pytestmark = pytest.mark.process

TEXTS = [
    f"Ticket {number}: {about}, and nobody answers me."
    for number in range(8)
    for about in (
        "my parcel is late",
        "the invoice shows a wrong amount",
        "ça marche très bien, merci",
    )
]
TOO_LONG = "parcel refund invoice " * 60


async def ask(server: LlamaServer, texts: list[str]) -> dict[str, Any]:
    """The server's own answer: floats in JSON, since no base64 is asked for."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
        session.post(f"{server.base_url}/embeddings", json={"input": texts}) as response,
    ):
        answer: dict[str, Any] = await response.json()
    assert response.status == 200, answer
    return answer


def matrix(records: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    """The vectors, one a row; numpy refuses them if they differ in length."""
    return np.array([record["embedding"] for record in records], dtype=np.float64)


async def test_every_row_has_the_vector_that_the_server_gives_for_its_text(
    here: Workplace, embeddings: LlamaServer
) -> None:
    here.write([*TEXTS[:-1], TEXTS[0]])
    options = ("--text", "text", "--base-url", embeddings.base_url, "--max-inputs", "12")
    code, said = here.run("embed", *options)

    assert code == 0, said
    records = here.records()
    assert [record["id"] for record in records] == [f"r{row}" for row in range(24)]
    vectors = matrix(records)
    assert vectors.shape == (24, DIMENSION)
    assert np.isfinite(vectors).all()
    assert here.manifest["requests"] == 2

    answer = await ask(embeddings, TEXTS[:-1])
    assert np.allclose(vectors[:-1], matrix(answer["data"]), atol=1e-5)
    assert np.allclose(vectors[-1], vectors[0], atol=1e-5)
    assert not np.allclose(vectors[1], vectors[0], atol=1e-2)
    again = await ask(embeddings, TEXTS[:1])
    tokens = answer["usage"]["prompt_tokens"] + again["usage"]["prompt_tokens"]
    assert here.manifest["tokens"]["prompt"] == tokens
    assert here.manifest["tokens"]["completion"] == 0
    assert tokens / 2 > PHYSICAL_BATCH  # of a request; the server's limit is that of one text

    written, counted = here.directory.joinpath("out.jsonl").read_bytes(), embeddings.counters()
    here.directory.joinpath("out.jsonl").unlink()
    code, said = here.run("embed", *options)
    assert code == 0, said
    assert here.directory.joinpath("out.jsonl").read_bytes() == written
    assert here.manifest["requests"] == 2
    assert embeddings.counters() == counted


def test_a_request_that_the_server_calls_too_large_is_halved_until_the_rest_is_through(
    here: Workplace, embeddings: LlamaServer
) -> None:
    here.write([*TEXTS[:5], TOO_LONG, *TEXTS[5:7]])
    code, said = here.run("embed", "--text", "text", "--base-url", embeddings.base_url)

    assert code == 3, said
    assert [record["row"] for record in here.records()] == [0, 1, 2, 3, 4, 6, 7]
    assert matrix(here.records()).shape == (7, DIMENSION)
    assert [(letter["row"], letter["code"]) for letter in here.letters] == [
        (5, "request_too_large")
    ]
    assert "increase the physical batch size" in here.letters[0]["message"]
    assert here.manifest["requests"] == 7  # of 8, 4+4, 2+2, 1+1


async def test_told_of_the_limit_of_a_text_it_keeps_to_it_and_all_rows_come_back(
    here: Workplace, embeddings: LlamaServer
) -> None:
    here.write([*TEXTS[:5], TOO_LONG, *TEXTS[5:7]])
    limit = ("--text", "text", "--base-url", embeddings.base_url, "--max-input-tokens", "64")
    code, said = here.run("embed", *limit, "--overlong", "split")

    assert code == 0, said
    assert here.manifest["requests"] == 1
    parts = [record for record in here.records() if record["row"] == 5]
    texts = [TOO_LONG[part["start"] : part["end"]] for part in parts]
    assert "".join(texts) == TOO_LONG
    assert len(texts) > 1
    vectors = matrix(parts)
    assert np.allclose(vectors, matrix((await ask(embeddings, texts))["data"]), atol=1e-5)

    code, said = here.run("embed", *limit, "--overlong", "mean", "--overwrite")
    assert code == 0, said
    assert here.manifest["requests"] == 1
    whole = matrix(here.records())
    assert whole.shape == (8, DIMENSION)
    # Weighted by tokens; by characters it is nearly the same, of a text that repeats itself.
    mean = np.average(vectors, axis=0, weights=[len(text) for text in texts])
    assert np.dot(whole[5], mean) / np.linalg.norm(mean) > 0.999
    assert np.linalg.norm(whole[5]) == pytest.approx(1.0, abs=1e-5)


def test_a_wrong_key_ends_the_run_before_any_row_is_lost(
    here: Workplace, embeddings: LlamaServer
) -> None:
    here.write(TEXTS)
    wrong = "sk-wrong-9876543210"
    code, said = here.run("embed", "--text", "text", "--base-url", embeddings.base_url, key=wrong)

    assert code == 2, said
    assert "OPENAI_API_KEY" in said
    assert wrong not in said
    assert here.records() == here.letters == []
