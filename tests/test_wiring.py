"""From settings to a provider: keys, headers, Azure, and a state directory that is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batcher.adapters.providers.credential import expand, read_credential, url_secrets
from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec
from batcher.settings import Settings
from batcher.simulator import SimulatorConfig, serve
from batcher.wiring import open_runner


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "in.csv").write_text("text\nhello\nworld\n")
    return tmp_path


def spec(**more: object) -> JobSpec:
    plain = {"kind": "embed", "input": "in.csv", "model": "text-embedding-3-small"}
    return JobSpec.from_json(plain | {"options": {"text": "text"}} | more)


async def test_state_is_kept_below_the_working_directory(workplace: Path) -> None:
    async with open_runner() as runner:
        report = await runner.run(spec(simulate=True), output="out.jsonl")
    assert report.status == "complete"
    assert (workplace / ".batcher" / "batcher.db").exists()
    assert report.notes


async def test_a_missing_key_is_an_error_before_anything_is_sent(workplace: Path) -> None:
    async with open_runner() as runner:
        with pytest.raises(UsageError, match="set OPENAI_API_KEY, name another variable with"):
            await runner.run(spec())
        assert await runner.jobs() == []


async def test_the_key_goes_as_a_bearer_token(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_KEY", "sk-right")
    async with serve(SimulatorConfig(api_key="sk-right")) as simulator, open_runner() as runner:
        report = await runner.run(spec(base_url=simulator.base_url, api_key_env="TEAM_KEY"))
    assert report.exit_code == 0


async def test_azure_is_asked_at_the_deployment_with_its_own_header(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    async with serve(SimulatorConfig(api_key="azure-key")) as simulator, open_runner() as runner:
        report = await runner.run(
            spec(
                base_url=simulator.url,
                api_version="2025-01-01",
                api_key_env="AZURE_OPENAI_API_KEY",
            )
        )
    assert report.exit_code == 0


async def test_a_header_can_carry_the_credential_by_name(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY", "sk-right")
    headers = {"Authorization": "Bearer ${GATEWAY}"}
    async with serve(SimulatorConfig(api_key="sk-right")) as simulator, open_runner() as runner:
        report = await runner.run(spec(base_url=simulator.base_url, headers=headers))
        assert report.exit_code == 0
    database = (workplace / ".batcher" / "batcher.db").read_bytes()
    assert b"sk-right" not in database
    assert b"${GATEWAY}" in database


@pytest.mark.parametrize("header", ["api-key", "Authorization", "X-Api-Token", "Cookie"])
def test_a_credential_written_out_is_refused(header: str) -> None:
    with pytest.raises(UsageError, match="looks like a credential") as caught:
        spec(headers={header: "sk-canary"})
    assert "canary" not in str(caught.value)


def test_a_credential_is_told_apart_but_never_shown() -> None:
    one = read_credential(spec(), {"OPENAI_API_KEY": "sk-canary-1"})
    two = read_credential(spec(), {"OPENAI_API_KEY": "sk-canary-2"})
    assert one.digest != two.digest
    assert "canary" not in repr(one) + one.digest
    signed = spec(headers={"Authorization": "Bearer $GATEWAY"})
    assert read_credential(signed, {"GATEWAY": "g"}).secrets == ("g",)


def test_a_header_s_name_must_be_in_the_environment() -> None:
    assert expand("a $X ${Y}z", {"X": "1", "Y": "2"}) == "a 1 2z"
    with pytest.raises(UsageError, match=r"\$NOWHERE"):
        expand("$NOWHERE", {})


async def test_another_database_has_another_place(workplace: Path) -> None:
    place = workplace / "deep" / "down.db"
    async with open_runner(Settings(database_url=str(place))) as runner:
        await runner.run(spec(simulate=True), output="out.jsonl")
    assert place.exists()
    assert not (workplace / ".batcher" / "batcher.db").exists()
    manifest = json.loads((workplace / "out.jsonl.manifest.json").read_text())
    assert manifest["rows"] == {"total": 2, "done": 2, "failed": 0}


@pytest.mark.parametrize("output", ["in.csv", "./in.csv", "link.csv", ".batcher/batcher.db"])
async def test_an_output_is_never_written_over_what_is_read(workplace: Path, output: str) -> None:
    (workplace / "link.csv").symlink_to("in.csv")
    before = (workplace / "in.csv").read_bytes()
    async with open_runner() as runner:
        await runner.run(spec(simulate=True))
        with pytest.raises(UsageError, match="name another output"):
            await runner.run(spec(simulate=True), output=output, output_format="jsonl")
    assert (workplace / "in.csv").read_bytes() == before


async def test_a_fresh_run_that_cannot_begin_leaves_the_paid_one_in_force(workplace: Path) -> None:
    async with open_runner() as runner:
        done = await runner.run(spec(simulate=True))
        with pytest.raises(UsageError, match="NOWHERE"):
            await runner.run(spec(simulate=True, headers={"X-A": "$NOWHERE"}), fresh=True)
        again = await runner.run(spec(simulate=True))
    assert again.sent_nothing
    assert again.job == done.job


async def test_how_an_input_is_named_does_not_make_it_another_job(workplace: Path) -> None:
    async with open_runner() as runner:
        done = await runner.run(spec(simulate=True))
        for more in ({"format": "csv"}, {"on_bad_row": "skip"}):
            assert (await runner.run(spec(simulate=True, **more))).job == done.job


async def test_a_retry_that_finds_nothing_changes_nothing(workplace: Path) -> None:
    (workplace / "in.csv").write_text('text\nhello\n""\n')
    async with open_runner() as runner:
        done = await runner.run(spec(simulate=True))
        retried, reopened = await runner.retry(done.job)
    assert (reopened, retried.finished_at, retried.rows_failed) == (0, done.finished_at, 1)


def test_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_DATABASE_URL", "postgresql://me:secret@h/jobs")
    monkeypatch.setenv("BATCHER_REDIS_URL", "redis://:secret@h")
    monkeypatch.setenv("BATCHER_DATABASE_TIMEOUT", "1.5")
    settings = Settings.from_environment()
    assert settings.database_timeout_seconds == 1.5
    assert settings.place == "postgresql://me@h/jobs"
    assert "secret" not in repr(settings)
    monkeypatch.setenv("BATCHER_DATABASE_TIMEOUT", "soon")
    with pytest.raises(UsageError, match="number of seconds"):
        Settings.from_environment()


def test_passwords_in_urls_are_secrets() -> None:
    proxy = url_secrets("http://me:p%40ss-word@proxy:3128", None, "http://proxy:3128")
    assert proxy == ("p%40ss-word", "p@ss-word")
    assert url_secrets("http://token-0123@proxy") == ("token-0123",)
    assert url_secrets("redis://:redis-secret@h:6379/0") == ("redis-secret",)
    assert url_secrets("postgresql://h/jobs?user=me&password=in-the-query") == ("in-the-query",)


async def test_a_password_of_the_way_to_a_provider_is_struck(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:canary-of-the-proxy@127.0.0.1:1")
    async with serve(SimulatorConfig()) as simulator, open_runner() as runner:
        (workplace / "in.csv").write_text("text\n[[fault=400]] canary-of-the-proxy\nhello\n")
        chat = {"prompt": "p.txt"}
        (workplace / "p.txt").write_text("{{ text }}")
        wanted = JobSpec(
            kind="chat", input="in.csv", model="gpt-4o-mini", options=chat,
            base_url=simulator.base_url,
        )  # fmt: skip
        report = await runner.run(wanted)
        letters = [letter async for letter in runner.errors(report.job)]
    assert len(letters) == 1
    assert "canary-of-the-proxy" not in letters[0].message
    assert "[key]" in letters[0].message
