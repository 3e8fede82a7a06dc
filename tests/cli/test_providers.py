"""``--provider NAME`` and ``batcher providers``: ``[providers.NAME]`` of ``batcher.toml``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import batcher
from batcher.cli.options.command_line import command_of
from batcher.simulator import Simulator, SimulatorConfig
from tests.cli.conftest import Cli
from tests.cli.provider import provider

EMBED = ["embed", "tickets.csv", "--text", "body", "-m", "text-embedding-3-small"]
KEY = "sk-of-the-gateway"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    """A provider that wants a key of its own."""
    with provider(SimulatorConfig(api_key=KEY)) as running:
        yield running


@pytest.fixture
def configured(cli: Cli, gateway: Simulator, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("GATEWAY_KEY", KEY)
    cli.write(
        "batcher.toml",
        f"""
        [profiles.nightly]
        provider = "gateway"
        [profiles.elsewhere]
        base_url = "http://of-the-profile/v1"

        [providers.gateway]
        base_url = "{gateway.base_url}"
        api_key_env = "GATEWAY_KEY"
        headers = {{ X-Team = "$GATEWAY_KEY" }}
        rpm = 6000
        max_inputs = 1
        models = ["text-embedding-*"]

        [providers.other]
        base_url = "http://other.example/v1"
        """,
    )
    return cli


def place(cli: Cli, *arguments: str) -> str:
    """Where a job would send its requests; or what is said instead."""
    shown = cli("preview", *EMBED, "-n", "1", *arguments)
    if shown.code:
        return shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("POST ")]
    return line.rpartition(" at ")[2]


def test_a_job_is_sent_to_a_provider_with_its_key_and_limits(configured: Cli) -> None:
    ran = configured("run", *EMBED, "-o", "out.jsonl", "--provider", "gateway", "--json")
    assert ran.code == 0, ran.stderr
    assert ran.json["requests"] == 3  # one input each
    assert KEY not in ran.stdout + ran.stderr


def test_it_is_the_same_job_as_one_that_says_all_of_that_itself(
    configured: Cli, gateway: Simulator
) -> None:
    own = ["--base-url", gateway.base_url, "--api-key-env", "GATEWAY_KEY", "--max-inputs", "1"]
    first = configured("run", *EMBED, "-o", "out.jsonl", *own, "--json")
    assert first.code == 0, first.stderr
    again = configured("run", *EMBED, "-o", "out.jsonl", "--provider", "gateway", "--json")
    assert (again.json["job"], again.json["sent_nothing"]) == (first.json["job"], True)


def test_a_command_to_be_copied_names_it_as_it_was_named(
    configured: Cli, gateway: Simulator
) -> None:
    ran = configured("run", *EMBED, "-o", "out.jsonl", "--provider", "gateway")
    assert ran.code == 0, ran.stderr
    command = command_of(batcher.report(configured.job()).spec)
    assert "--provider gateway" in command
    assert gateway.base_url not in command
    assert "GATEWAY_KEY" not in command


def test_a_flag_before_a_job_file_before_the_environment_before_a_profile(
    configured: Cli, gateway: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = gateway.base_url
    assert place(configured, "--provider", "gateway") == here
    assert place(configured, "--profile", "nightly") == here
    flag = ["--base-url", "http://of-the-flag/v1"]
    assert place(configured, "--profile", "nightly", *flag) == "http://of-the-flag/v1"
    assert place(configured, "--profile", "elsewhere", "--provider", "gateway") == here

    monkeypatch.setenv("OPENAI_BASE_URL", "http://of-the-environment/v1")
    assert place(configured, "--provider", "gateway") == here
    assert place(configured, "--profile", "nightly") == "http://of-the-environment/v1"
    monkeypatch.setenv("BATCHER_PROVIDER", "gateway")
    assert "contradict each other" in place(configured)
    assert place(configured, "--provider", "other") == "http://other.example/v1"


def test_contradictions_are_refused_before_anything_is_read(configured: Cli) -> None:
    both = ["--provider", "gateway", "--base-url", "http://of-the-flag/v1"]
    assert "--provider gateway and --base-url contradict each other" in place(configured, *both)
    both = ["--provider", "gateway", "--header", "X: y"]
    assert "--provider gateway and --header contradict each other" in place(configured, *both)
    assert "not to be asked for the model gpt-4o" in place(
        configured, "--provider", "gateway", "-m", "gpt-4o"
    )
    assert "no provider 'gatway': there are default, gateway, other" in place(
        configured, "--provider", "gatway"
    )


def test_a_file_with_a_mistake_says_where(cli: Cli) -> None:
    cli.write("batcher.toml", "[providers.acme]\nbase-url = 'http://x/v1'\n")
    said = place(cli, "--provider", "acme")
    assert (
        "batcher.toml: [providers.acme] has no setting 'base-url': did you mean base_url?" in said
    )
    assert place(cli).startswith("https://api.openai.com")  # which nobody asked of it
    cli.write("batcher.toml", "providers = 3\n")
    assert "[providers.NAME] are tables" in place(cli, "--provider", "acme")


def test_providers_are_listed_without_what_is_secret(
    configured: Cli, gateway: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    listed = configured("providers")
    assert listed.code == 0, listed.stderr
    rows = [line.split("  ") for line in listed.stdout.splitlines()]
    assert [row[0] for row in rows] == ["PROVIDER", "default", "gateway", "other"]
    assert gateway.base_url in listed.stdout
    assert "OPENAI_API_KEY (not set)" in listed.stdout
    as_json = configured("providers", "--json")
    assert KEY not in listed.stdout + as_json.stdout
    told = {each["name"]: each for each in as_json.json}
    assert told["gateway"]["headers"] == ["X-Team"]
    assert told["gateway"]["models"] == ["text-embedding-*"]
    assert (told["gateway"]["key_is_set"], told["other"]["key_is_set"]) == (True, False)


def test_python_names_one_as_well(configured: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://of-the-environment/v1")
    report = batcher.run(
        "embed", "tickets.csv", text="body", model="text-embedding-3-small", provider="gateway",
        settings=batcher.Settings(database_url="memory://"), progress=False,
    )  # fmt: skip
    assert (report.status, report.rows_done) == ("complete", 3)


def test_a_worker_is_started_with_providers_that_there_are(configured: Cli) -> None:
    started = configured("worker", "--provider", "gatway")
    assert started.code == 2
    assert "no provider 'gatway': there are default, gateway, other" in started.stderr
