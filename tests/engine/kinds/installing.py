"""Kinds of tests, found as anybody's package is."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import pytest


def install_kind(monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    """Have the ``KIND`` of a module found under that name."""
    entry = EntryPoint(name=name, value=f"{module}:KIND", group="batcher.kinds")
    monkeypatch.setattr(
        "batcher.adapters.system.installed_kinds.entry_points",
        lambda group: [*entry_points(group=group), entry],
    )
