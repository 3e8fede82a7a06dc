"""Sources and destinations come from entry points; a stranger's is found as those built in."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from batcher.adapters.system.connectors import DESTINATIONS, SOURCES, Connectors
from batcher.core.errors import UsageError
from batcher.ports import Destination, Source

ENTRIES = "batcher.adapters.system.connectors.entry_points"
BUILT_IN = "batcher.adapters.sources.opening:FILES"


def installed(monkeypatch: pytest.MonkeyPatch, **entries: str) -> Connectors[Source]:
    found = [EntryPoint(name, value, SOURCES) for name, value in entries.items()]
    monkeypatch.setattr(ENTRIES, lambda group: found)
    return Connectors(SOURCES, Source)


def test_what_no_name_tells_goes_to_the_format_of_pipes() -> None:
    sources: Connectors[Source] = Connectors(SOURCES, Source)
    for address in ("-", "/dev/stdin", "README", "x.unheard-of", "dir.csv/in"):
        assert sources.find(address) is sources.get(".jsonl")


def test_nothing_is_imported_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = installed(monkeypatch, **{".csv": BUILT_IN, "ftp": "no_such_module:SOURCE"})
    assert sources.names() == (".csv", "ftp")
    assert isinstance(sources.find("IN.CSV"), Source)
    with pytest.raises(UsageError, match=r"the source 'ftp' \(no_such_module:SOURCE\) cannot be"):
        sources.find("FTP://host/in.csv")


def test_what_keeps_no_contract_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = installed(monkeypatch, odd="math:pi")
    with pytest.raises(UsageError, match=r"'odd' \(math:pi\) is not one: see batcher.ports.Source"):
        sources.find("odd://x")


def test_two_packages_for_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [EntryPoint("x", value, DESTINATIONS) for value in ("one:A", "two:B")]
    monkeypatch.setattr(ENTRIES, lambda group: entries)
    destinations: Connectors[Destination] = Connectors(DESTINATIONS, Destination)
    with pytest.raises(
        UsageError, match="two packages have a destination for x://, one:A and two:B"
    ):
        destinations.find("x://y")
