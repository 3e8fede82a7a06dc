"""What a worker lets jobs reach: what is sent comes from its operator, and never from a job."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import NotAllowed
from batcher.core.job.providers import ProviderConfig
from batcher.core.job.reach import Reach, admitted, is_link_local, is_public
from batcher.core.job.spec import JobSpec

OPENAI = ProviderConfig(name="default")
GATEWAY = ProviderConfig(
    name="gateway",
    base_url="https://gateway.example/v1",
    api_key_env="GATEWAY_KEY",
    headers={"X-Tenant": "$TENANT"},
    rpm=100,
    models=("gpt-*",),
)
AZURE = ProviderConfig(
    name="azure", base_url="https://acme.openai.azure.com", api_version="v", api_key_env="AZURE_KEY"
)
PROVIDERS = {each.name: each for each in (OPENAI, GATEWAY, AZURE)}
CLOSED = Reach(providers=PROVIDERS)
OPEN = dataclasses.replace(CLOSED, unsigned=True)
SET = {"OPENAI_API_KEY", "GATEWAY_KEY", "TENANT", "AZURE_KEY", "AWS_SECRET_ACCESS_KEY", "PATH"}


def job(**settings: Any) -> JobSpec:
    return JobSpec(**{"kind": "chat", "input": "in.csv", "model": "gpt-4o", **settings})


def granted(spec: JobSpec, reach: Reach = CLOSED) -> tuple[JobSpec, bool]:
    result = reach.granted(spec, SET.__contains__)
    return result.spec, result.signed


def refused(spec: JobSpec, reach: Reach = CLOSED) -> str:
    with pytest.raises(NotAllowed) as error:
        reach.granted(spec, SET.__contains__)
    return str(error.value)


def test_a_job_at_a_provider_of_the_worker_is_sent_as_that_is_configured() -> None:
    sent, signed = granted(job())
    assert signed
    assert (sent.provider, sent.base_url, sent.api_key_env) == (
        "default", "https://api.openai.com/v1", "OPENAI_API_KEY",
    )  # fmt: skip
    sent, signed = granted(GATEWAY.fill(job(provider="gateway", rpm=500)))
    assert signed
    assert (sent.api_key_env, sent.headers, sent.rpm) == (
        "GATEWAY_KEY", {"X-Tenant": "$TENANT"}, 100,
    )  # fmt: skip


def test_by_name_what_the_job_says_of_credentials_does_not_count() -> None:
    """A job of another machine may say what that one's configuration says."""
    spec = job(
        provider="gateway",
        base_url=GATEWAY.base_url,
        api_key_env="AWS_SECRET_ACCESS_KEY",
        headers={"X": "$PATH"},
    )
    sent, _ = granted(spec)
    assert (sent.api_key_env, dict(sent.headers)) == ("GATEWAY_KEY", {"X-Tenant": "$TENANT"})


@pytest.mark.parametrize("reach", [CLOSED, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "https://thief.example/v1"},
        {"base_url": "https://thief.example/v1", "api_key_env": "AWS_SECRET_ACCESS_KEY"},
        {
            "base_url": "https://thief.example/v1",
            "api_key_env": "NONE",
            "headers": {"X": "$AWS_SECRET_ACCESS_KEY"},
        },
        {
            "base_url": "https://thief.example/v1",
            "api_key_env": "NONE",
            "headers": {"X": "a${PATH}b"},
        },
        {"api_key_env": "AWS_SECRET_ACCESS_KEY"},
        {"headers": {"X": "$AWS_SECRET_ACCESS_KEY"}},
        {"headers": {"Host": "thief.example"}},
        {"provider": "unknown"},
        {"provider": "gateway", "base_url": "https://thief.example/v1"},
        {"provider": "default", "base_url": "https://api.openai.com.thief.example/v1"},
        {"provider": "default", "api_version": "2024-10-21"},
        {"base_url": "http://api.openai.com/v1"},
        {"base_url": "https://api.openai.com:8443/v1"},
        {"base_url": "https://api.openai.com/v1/../../elsewhere"},
        {"base_url": "http://169.254.169.254/latest", "api_key_env": "NONE"},
        {"base_url": "http://[fe80::1]/v1", "api_key_env": "NONE"},
        {"base_url": "http://[::ffff:169.254.169.254]/v1", "api_key_env": "NONE"},
        {"base_url": "http://2852039166/v1", "api_key_env": "NONE"},
        {"provider": "azure", "base_url": AZURE.base_url, "api_version": "v", "model": "../x"},
        {"provider": "azure", "base_url": AZURE.base_url, "api_version": "v", "model": ".."},
        {"provider": "azure", "base_url": AZURE.base_url, "api_version": "v", "model": "a?b"},
        {"provider": "gateway", "base_url": GATEWAY.base_url, "model": "o1"},
        {"via": "replay"},
    ],
    ids=str,
)
def test_whatever_else_is_asked_for_is_refused(settings: dict[str, Any], reach: Reach) -> None:
    assert refused(job(**settings), reach)


def test_a_closed_worker_serves_no_other_place_and_an_open_one_without_a_credential() -> None:
    local = job(base_url="http://10.0.0.7:8000/v1", api_key_env="NONE", headers={"X-Team": "a"})
    assert "none of this worker's providers" in refused(local)
    sent, signed = granted(local, OPEN)
    assert not signed
    assert sent.base_url == "http://10.0.0.7:8000/v1"


def test_a_simulated_job_is_served_everywhere_without_a_credential() -> None:
    spec = job(simulate=True, headers={"X": "$AWS_SECRET_ACCESS_KEY"})
    for reach in (CLOSED, OPEN, Reach(providers={})):
        sent, signed = granted(spec, reach)
        assert (dict(sent.headers), signed) == ({}, False)


NAMES = st.sampled_from(["OPENAI_API_KEY", "GATEWAY_KEY", "AWS_SECRET_ACCESS_KEY", "PATH", "NONE"])
PLACES = st.sampled_from(
    [*(each.base_url for each in PROVIDERS.values()), "https://thief.example/v1", "http://x:1/v1"]
)
HEADERS = st.dictionaries(
    st.sampled_from(["X-A", "Host", "Authorization"]),
    st.one_of(NAMES.map(lambda name: f"${name}"), NAMES.map(lambda name: f"a ${{{name}}}")),
    max_size=2,
)


@given(
    provider=st.sampled_from([None, "default", "gateway", "azure", "unknown"]),
    base_url=PLACES,
    api_version=st.sampled_from([None, "v"]),
    key=NAMES,
    headers=HEADERS,
    unsigned=st.booleans(),
)
def test_a_credential_goes_only_where_its_operator_sends_it(
    provider: str | None,
    base_url: str,
    api_version: str | None,
    key: str,
    headers: dict[str, str],
    unsigned: bool,
) -> None:
    spec = job(
        provider=provider,
        base_url=base_url,
        api_version=api_version,
        api_key_env=key,
        headers=headers,
    )
    try:
        sent = Reach(providers=PROVIDERS, unsigned=unsigned).granted(spec, SET.__contains__)
    except NotAllowed:
        return
    if sent.signed:
        config = PROVIDERS[str(sent.spec.provider)]
        assert sent.spec.base_url == config.base_url
        assert sent.spec.api_key_env == config.api_key_env
        assert dict(sent.spec.headers) == dict(config.headers)
    else:
        assert unsigned
        assert "$" not in "".join(sent.spec.headers.values())


# --- URLs -------------------------------------------------------------------------------------

UNDER = ("https://data.example/in/", "http://10.0.0.9:8080", "https://")


@pytest.mark.parametrize(
    ("url", "how"),
    [
        ("https://data.example/in/a.csv", "named"),
        ("https://DATA.example:443/in/a.csv?signed=1", "named"),
        ("https://data.example/in", "named"),
        ("http://10.0.0.9:8080/anything", "named"),
        ("https://data.example/inner/a.csv", "public"),
        ("https://data.example/in/../secret.csv", "public"),
        ("https://data.example/in/%2e%2e/secret.csv", "public"),
        ("https://data.example/in/%252e%252e/secret.csv", "public"),
        ("https://data.example.thief.example/in/a.csv", "public"),
        ("https://elsewhere.example/a.csv", "public"),
        ("http://data.example/in/a.csv", None),
        ("http://10.0.0.9/a.csv", None),
        ("http://10.0.0.9:80800/a.csv", None),
        ("http://10.0.0.9:8080@thief.example/a.csv", None),
        ("http://10.0.0.9:8080\\@thief.example/a.csv", None),
        ("file:///etc/passwd", None),
        ("ftp://data.example/in/a.csv", None),
        ("/in/a.csv", None),
    ],
)
def test_a_url_stands_under_a_prefix_or_not(url: str, how: str | None) -> None:
    assert admitted(url, UNDER) == how


def test_without_prefixes_no_url_is_admitted() -> None:
    assert admitted("https://data.example/in/a.csv", ()) is None
    assert admitted("https://data.example/in/a.csv", ("/data", "data.example")) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "::1", "fe80::1", "fe80::1%eth0", "fd00::1", "::", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2130706433", "not an address",
    ],
)  # fmt: skip
def test_these_are_nowhere_that_everybody_reaches(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_these_are(address: str) -> None:
    assert is_public(address)
    assert not is_link_local(address)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "[fe80::1]", "::ffff:169.254.1.1", "2852039166"]
)
def test_these_are_where_machines_are_told_secrets(address: str) -> None:
    assert is_link_local(address)


def test_a_name_is_no_address() -> None:
    assert not is_link_local("localhost")
