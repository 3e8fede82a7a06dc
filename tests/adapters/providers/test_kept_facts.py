"""What was looked up of models is kept for a day, and is the same as what is looked up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from genai_prices import data_snapshot
from genai_prices.types import TimeOfDateConstraint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.adapters.providers import kept_facts
from batcher.adapters.providers.catalog import model_facts
from batcher.adapters.providers.kept_facts import kept_model_facts
from batcher.core.kind import Endpoint

if TYPE_CHECKING:
    from batcher.core.limits import ModelFacts

OPENAI = "https://api.openai.com/v1"
MODELS = [
    (provider.id, model)
    for provider in data_snapshot.get_snapshot().providers
    for model in provider.models
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a catalog that is not loaded yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept_facts, "_is_loaded", lambda: False)
    return tmp_path


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that the catalog was asked for."""
    asked: list[str] = []
    look_up = kept_facts._look_up

    def heard(model: str, endpoint: str, base_url: str) -> tuple[ModelFacts, bool]:
        asked.append(model)
        return look_up(model, endpoint, base_url)

    monkeypatch.setattr(kept_facts, "_look_up", heard)
    return asked


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(sorted({model.id for _, model in MODELS})) | st.just("our-own-llama"),
    st.sampled_from([Endpoint.CHAT, Endpoint.EMBEDDINGS]),
    st.sampled_from([OPENAI, "https://generativelanguage.googleapis.com", "http://here:8000/v1"]),
)
def test_what_is_kept_is_what_was_looked_up(model: str, endpoint: str, base_url: str) -> None:
    first = kept_model_facts(model, endpoint, base_url)
    assert (
        first
        == kept_model_facts(model, endpoint, base_url)
        == model_facts(model, endpoint, base_url)
    )


def test_a_second_look_does_not_ask_the_catalog(lookups: list[str], cache: Path) -> None:
    for _ in range(3):
        kept_model_facts("gpt-6-luna", Endpoint.CHAT, "https://user:secret@here/v1")
    assert lookups == ["gpt-6-luna"]
    (entry,) = [path for path in cache.rglob("*") if path.is_file()]
    assert "secret" not in f"{entry}{entry.read_text(encoding='utf-8')}"


def test_an_entry_of_yesterday_is_looked_up_again(
    lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("2026-11-27", "2026-11-28", "2026-11-28"):
        monkeypatch.setattr(kept_facts, "_today", lambda day=day: day)
        kept_model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI)
    assert len(lookups) == 2


def test_an_entry_of_another_catalog_is_looked_up_again(
    lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI)
    stamp = kept_facts._stamp()
    assert any(str(made_of[0]).endswith("genai_prices/data.py") for made_of in stamp[1:])
    monkeypatch.setattr(kept_facts, "_stamp", lambda: [*stamp[:-1], ["data.py", 1, 2]])
    kept_model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI)
    assert len(lookups) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"stamp": 1}', "\udcff"])
def test_an_entry_that_cannot_be_read_is_looked_up_again(
    text: str, lookups: list[str], cache: Path
) -> None:
    facts = kept_model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI)
    (entry,) = [path for path in cache.rglob("*") if path.is_file()]
    entry.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert kept_model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI) == facts
    assert len(lookups) == 2


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    facts = kept_model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI)
    assert facts == model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI)


def test_a_price_that_changes_within_the_day_is_not_kept(lookups: list[str], cache: Path) -> None:
    hourly = [
        (provider.api_pattern, model.id)
        for provider in data_snapshot.get_snapshot().providers
        for model in provider.models
        if isinstance(model.prices, list)
        and any(isinstance(price.constraint, TimeOfDateConstraint) for price in model.prices)
    ]
    assert hourly
    for _, model in hourly * 2:
        kept_model_facts(model, Endpoint.CHAT, "https://api.deepseek.com")
    assert len(lookups) == 2 * len(hourly)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_what_is_loaded_already_is_asked(
    lookups: list[str], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """So a program that has given the catalog other prices gets those."""
    monkeypatch.setattr(kept_facts, "_is_loaded", lambda: True)
    for _ in range(2):
        kept_model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI)
    assert len(lookups) == 2
    assert list(cache.iterdir()) == []
