"""The official SDK as a client: what it accepts is what the real provider sends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from pydantic import BaseModel

from batcher.simulator import Simulator
from batcher.simulator.results.vectors import vectors
from tests.simulator.client import CHATTER, EMBEDDER


class Person(BaseModel):
    """A schema as the SDK derives it: nested, with an optional part and a list."""

    name: str
    age: int | None
    friends: list[Person]


@pytest.fixture
async def sdk(simulator: Simulator) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=simulator.base_url, api_key="sk-any", max_retries=0) as client:
        yield client


async def test_embeddings(sdk: AsyncOpenAI) -> None:
    expected = vectors(["a", "b"], EMBEDDER, 8)
    plain = await sdk.embeddings.create(model=EMBEDDER, input=["a", "b"], encoding_format="float")
    # Where no format is named, the SDK asks for base64 and decodes it.
    packed = await sdk.embeddings.create(model=EMBEDDER, input=["a", "b"])
    for answer in (plain, packed):
        rows = np.array([item.embedding for item in answer.data], dtype=np.float32)
        assert (rows == expected).all()
    assert plain.usage == packed.usage
    assert plain.usage.prompt_tokens == 2


async def test_chat(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(
        model=CHATTER,
        messages=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        max_tokens=4,
        logprobs=True,
        top_logprobs=2,
    )
    choice = answer.choices[0]
    assert choice.message.content is not None
    assert choice.finish_reason == "length"
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4


async def test_structured_output(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.parse(
        model=CHATTER,
        messages=[{"role": "user", "content": "Who?"}],
        response_format=Person,
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


async def test_refusal(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.parse(
        model=CHATTER,
        messages=[{"role": "user", "content": "[[fault=refusal]]"}],
        response_format=Person,
    )
    assert answer.choices[0].message.parsed is None
    assert answer.choices[0].message.refusal


async def test_models(sdk: AsyncOpenAI) -> None:
    assert CHATTER in [model.id async for model in sdk.models.list()]
    assert (await sdk.models.retrieve(CHATTER)).id == CHATTER


async def test_rate_limit(simulator: Simulator, sdk: AsyncOpenAI) -> None:
    simulator.configure(rpm=1)
    await sdk.embeddings.create(model=EMBEDDER, input="a")
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.embeddings.create(model=EMBEDDER, input="a")
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert int(caught.value.response.headers["retry-after-ms"]) > 50_000


@pytest.mark.parametrize(
    ("fault", "raised", "code"),
    [
        ("400", openai.BadRequestError, "invalid_value"),
        ("401", openai.AuthenticationError, "invalid_api_key"),
        ("403", openai.PermissionDeniedError, "model_not_found"),
        ("404", openai.NotFoundError, "model_not_found"),
        ("409", openai.ConflictError, "conflict"),
        ("422_vllm", openai.UnprocessableEntityError, None),
        ("429_quota", openai.RateLimitError, "insufficient_quota"),
        ("502_html", openai.InternalServerError, None),
        ("disconnect", openai.APIConnectionError, None),
        ("reset", openai.APIConnectionError, None),
    ],
)
async def test_errors(
    sdk: AsyncOpenAI, fault: str, raised: type[openai.APIError], code: str | None
) -> None:
    with pytest.raises(raised) as caught:
        await sdk.chat.completions.create(
            model=CHATTER, messages=[{"role": "user", "content": f"[[fault={fault}]]"}]
        )
    if code is not None:
        assert caught.value.code == code


async def test_bad_request(sdk: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(
            model="gpt-5-mini", messages=[{"role": "user", "content": "a"}], max_tokens=5
        )
    assert (caught.value.param, caught.value.code) == ("max_tokens", "unsupported_parameter")


async def test_wrong_key(simulator: Simulator, sdk: AsyncOpenAI) -> None:
    simulator.configure(api_key="sk-other")
    with pytest.raises(openai.AuthenticationError) as caught:
        await sdk.models.list()
    assert caught.value.code == "invalid_api_key"


async def test_azure(simulator: Simulator) -> None:
    simulator.configure(api_key="azure-key")
    async with AsyncAzureOpenAI(
        azure_endpoint=simulator.url,
        api_key="azure-key",
        api_version="2024-10-21",
        max_retries=0,
    ) as client:
        answer = await client.chat.completions.create(
            model=CHATTER, messages=[{"role": "user", "content": "Hi"}]
        )
        assert answer.choices[0].message.content
        packed = await client.embeddings.create(model=EMBEDDER, input="a")
        assert len(packed.data[0].embedding) == 8
