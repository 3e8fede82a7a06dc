"""Kinds come from entry points; a stranger's is found as the built-in ones are."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.core.errors import UsageError
from batcher.core.kind import Kind


def test_the_built_in_kinds_are_installed() -> None:
    kinds = InstalledKinds()
    assert {"chat", "classify", "embed"} <= set(kinds.names())
    for name in kinds.names():
        kind = kinds.get(name)
        assert isinstance(kind, Kind)
        assert kind.name == name
        assert all(option.help for option in kind.options)


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        UsageError,
        match=r"no kind 'embedd' \(did you mean 'embed'\?\): there are chat, classify, embed",
    ):
        InstalledKinds().get("embedd")


def test_what_is_no_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("odd", "math:pi", "batcher.kinds")
    monkeypatch.setattr(
        "batcher.adapters.system.installed_kinds.entry_points", lambda group: [entry]
    )
    with pytest.raises(UsageError, match="'odd'"):
        InstalledKinds().get("odd")
