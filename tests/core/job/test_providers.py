"""Providers by name: what they say of themselves, and jobs that choose one."""

from __future__ import annotations

from typing import Any

import pytest

from batcher.core.errors import UsageError
from batcher.core.job.description_parts import ProviderPart
from batcher.core.job.providers import ProviderConfig, chosen
from batcher.core.job.spec import JobSpec

AZURE = ProviderConfig(
    name="azure",
    base_url="https://acme.openai.azure.com",
    api_version="2024-10-21",
    api_key_env="AZURE_KEY",
    headers={"X-Team": "search"},
    rpm=600,
    max_inputs=16,
    price="1,2",
    prices={"gpt-6-luna": "3,4"},
    models=("gpt-*", "text-embedding-3-small"),
    routes=("online",),
)


def job(**settings: Any) -> JobSpec:
    return JobSpec(**{"kind": "chat", "input": "in.csv", "model": "gpt-4o", **settings})


def test_a_job_says_all_that_its_provider_says_of_itself() -> None:
    spec = chosen({"azure": AZURE}, job(provider="azure"))
    part = ProviderPart.of(spec)
    assert (part.name, part.base_url, part.api_version) == (
        "azure", "https://acme.openai.azure.com", "2024-10-21",
    )  # fmt: skip
    assert (part.api_key_env, part.headers) == ("AZURE_KEY", {"X-Team": "search"})
    assert (part.rpm, part.tpm, part.max_inputs, part.price) == (600, None, 16, "1,2")
    assert chosen({"azure": AZURE}, spec) == spec


def test_a_models_own_price_goes_first_and_a_jobs_own_limits() -> None:
    assert AZURE.fill(job(model="gpt-6-luna")).price == "3,4"
    assert AZURE.fill(job(rpm=10, price="5,6")).rpm == 10
    assert AZURE.fill(job(rpm=10, price="5,6")).price == "5,6"


def test_a_job_without_a_provider_stays_as_it_is() -> None:
    assert chosen({"azure": AZURE}, job()) == job()
    assert "provider" not in job().to_json()  # which earlier versions would refuse
    named = job(provider="azure")
    assert JobSpec.from_json(named.to_json()) == named


def test_there_must_be_such_a_provider() -> None:
    with pytest.raises(
        UsageError, match=r"no provider 'azur': there are azure; \[providers.azur\]"
    ):
        chosen({"azure": AZURE}, job(provider="azur"))


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("base_url", "https://elsewhere.example/v1", "--base-url"),
        ("api_version", "2020-01-01", "--api-version"),
        ("api_key_env", "OTHER_KEY", "--api-key-env"),
        ("headers", {"X": "$OTHER"}, "--header"),
    ],
)
def test_a_job_cannot_say_otherwise(name: str, value: Any, flag: str) -> None:
    with pytest.raises(UsageError, match=f"--provider azure and {flag} contradict"):
        AZURE.fill(job(**{name: value}))
    same = getattr(AZURE, name)
    assert getattr(AZURE.fill(job(**{name: same})), name) == same


def test_only_its_models_and_routes_can_be_asked_for() -> None:
    with pytest.raises(UsageError, match="not to be asked for the model o1"):
        AZURE.fill(job(model="o1"))
    with pytest.raises(UsageError, match="on the route flex"):
        AZURE.fill(job(service_tier="flex"))
    assert AZURE.fill(job(service_tier="priority")).service_tier == "priority"
    assert AZURE.fill(job(model="o1", simulate=True)).model == "o1"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (3, "is a table"),
        ({"base-url": "http://x/v1"}, r"no setting 'base-url': did you mean base_url\?"),
        ({"base_url": "ftp://x"}, "does not begin with http"),
        ({"base_url": "https://user:pw@x/v1"}, "holds a user or a password"),
        ({"rpm": 0}, "--rpm must be more than 0"),
        ({"rpm": "many"}, "--rpm is a whole number, not 'many'"),
        ({"headers": {"Authorization": "secret"}}, "looks like a credential"),
        ({"price": "free"}, "price"),
        ({"prices": {"m": "x"}}, "price"),
        ({"prices": {"m": 3}}, "prices is a table"),
        ({"prices": 3}, "prices is a table"),
        ({"models": "gpt-4o"}, "models is a list of texts"),
        ({"routes": ["online", "carrier pigeon"]}, "routes are online, flex"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(table: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        ProviderConfig.of_table("acme", table)
    assert "acme" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "pw@" not in str(refused.value)


def test_a_name_is_one_word() -> None:
    with pytest.raises(UsageError, match="not a name for a provider"):
        ProviderConfig.of_table("a b", {})
