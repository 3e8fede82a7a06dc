"""What a worker lets jobs reach, by what it was started with; and that its files heed that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import NotAllowed, UsageError
from batcher.core.job.reach import Reach
from batcher.ports import OutputSchema, SinkRequest
from batcher.settings import Settings
from batcher.wiring import open_fleet, open_runner
from batcher.wiring_providers import reach_of

SHARED = "postgresql://batcher@db.internal/batcher"
PROVIDERS = """
[defaults]
provider = "gateway"
[providers.gateway]
base_url = "https://gateway.example/v1"
api_key_env = "GATEWAY_KEY"
"""
SCHEMA = OutputSchema(columns=(), fields=(), chunked=False, dimension=None)


def wanted(path: str) -> SinkRequest:
    return SinkRequest(address=path, schema=SCHEMA)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("BATCHER_BASE_URL", "OPENAI_BASE_URL", "BATCHER_API_KEY_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batcher.toml").write_text(PROVIDERS)
    return tmp_path


def reach(**said: tuple[str, ...]) -> Reach:
    found = reach_of(Settings(database_url=SHARED, **said))  # type: ignore[arg-type]
    assert found is not None
    return found


def test_over_a_file_whoever_starts_a_worker_is_who_submits() -> None:
    assert reach_of(Settings(database_url="batcher.db")) is None
    assert reach_of(Settings()) is None


def test_over_a_shared_database_a_worker_has_its_own_things_and_what_is_public(
    here: Path,
) -> None:
    found = reach()
    assert sorted(found.providers) == ["default", "gateway"]
    assert found.sources == (str(here), "https://", "http://")
    assert found.destinations == (str(here),)
    assert found.unsigned


@pytest.mark.parametrize("database", [SHARED, "batcher.db"])
@pytest.mark.parametrize(
    "said",
    [{"providers": ("gateway",)}, {"allow_source": ("in",)}, {"allow_destination": ("/out",)}],
    ids=str,
)
def test_whatever_is_said_closes_the_rest(
    here: Path, database: str, said: dict[str, tuple[str, ...]]
) -> None:
    found = reach_of(Settings(database_url=database, **said))  # type: ignore[arg-type]
    assert found is not None
    assert not found.unsigned
    assert sorted(found.providers) == list(said.get("providers", ("default", "gateway")))
    assert found.sources == ((str(here / "in"),) if "allow_source" in said else ())
    assert found.destinations == said.get("allow_destination", ())


def test_urls_are_taken_as_they_are() -> None:
    assert reach(allow_source=("https://data.example/in/",)).sources == (
        "https://data.example/in/",
    )


def test_a_provider_must_be_configured() -> None:
    with pytest.raises(UsageError, match="no provider 'azure': there are default, gateway"):
        reach(providers=("gateway", "azure"))


def test_the_environments_provider_is_called_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://vllm:8000/v1")
    monkeypatch.setenv("BATCHER_API_KEY_ENV", "VLLM_KEY")
    found = reach(providers=("default",)).providers["default"]
    assert (found.base_url, found.api_key_env) == ("http://vllm:8000/v1", "VLLM_KEY")


def test_the_environment_says_it_one_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_WORKER_PROVIDERS", "gateway\ndefault\n")
    monkeypatch.setenv("BATCHER_ALLOW_SOURCE", "/data/a b\n\n https://data.example/ \n")
    monkeypatch.setenv("BATCHER_ALLOW_DESTINATION", "/out")
    settings = Settings.from_environment()
    assert settings.providers == ("gateway", "default")
    assert settings.allow_source == ("/data/a b", "https://data.example/")
    assert settings.allow_destination == ("/out",)


async def test_a_worker_writes_only_where_it_may(here: Path) -> None:
    (here / "out").mkdir()
    (here / "out/link.jsonl").symlink_to(here / "elsewhere.jsonl")
    (here / "out/up").symlink_to(here)
    settings = Settings(database_url="batcher.db", allow_destination=("out",))
    async with open_fleet(settings) as fleet:
        files = fleet.services.files
        files.check_place(wanted("out/a.jsonl"))
        sink = files.open_sink(wanted("out/a.jsonl"))
        sink.commit()
        for path in (
            "elsewhere.jsonl", "out/../elsewhere.jsonl", "out/link.jsonl", "out/up/elsewhere.jsonl",
            "out/.hidden.jsonl", "batcher.toml.jsonl", "-", str(here / "elsewhere.jsonl"),
            "sqlite://out/a.jsonl",
        ):  # fmt: skip
            with pytest.raises(NotAllowed, match="may not write"):
                files.check_place(wanted(path))
            with pytest.raises(NotAllowed, match="may not write"):
                files.open_sink(wanted(path))
            with pytest.raises(NotAllowed, match="may not write"):  # as beside an output
                files.draft_json(Path(path), {}, "anything")
        (here / "out/a.jsonl.errors.jsonl").symlink_to(here / "elsewhere.jsonl")
        (here / "out/a.jsonl.manifest.json").symlink_to(here / "elsewhere.jsonl")
        with pytest.raises(NotAllowed, match="may not write"):
            await files.draft_records(here / "out/a.jsonl.errors.jsonl", no_records(), "anything")
        with pytest.raises(NotAllowed, match="may not write"):
            files.draft_json(here / "out/a.jsonl.manifest.json", {}, "anything")
    written = {path.name for path in here.rglob("*.jsonl") if not path.is_symlink()}
    assert written == {"a.jsonl"}
    assert not (here / "elsewhere.jsonl").exists()


async def no_records() -> AsyncIterator[dict[str, Any]]:
    nothing: list[dict[str, Any]] = []
    for record in nothing:
        yield record


async def test_who_runs_a_job_himself_writes_where_he_likes(here: Path) -> None:
    settings = Settings(database_url="batcher.db", allow_destination=("out",))
    async with open_runner(settings) as runner:
        runner._services.files.check_place(wanted("elsewhere.jsonl"))
