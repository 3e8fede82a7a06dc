"""Sources and destinations found through entry points, by scheme and suffix.

An entry point is called as what it is found by: ``.csv``, ``.tar.zst``, ``https``. A path whose
name tells nothing (standard input, a pipe, a device) goes to the format of pipes, ``.jsonl``.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from batcher.adapters.system.installed_kinds import entry_points
from batcher.core.errors import UsageError
from batcher.core.job.urls import scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

T = TypeVar("T")

SOURCES = "batcher.sources"
DESTINATIONS = "batcher.destinations"
_PIPED = ".jsonl"
_COMPRESSED = (".gz", ".zst")


class Connectors(Generic[T]):
    """What one group's entry points lead to; each is imported when it is first asked for."""

    def __init__(self, group: str, contract: type) -> None:
        """``contract`` is the protocol that each has to keep."""
        self._group = group
        self._contract = contract
        self._loaded: dict[str, T] = {}

    @cached_property
    def _entries(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self._group):
            found.setdefault(entry.name.lower(), []).append(entry)
        return found

    def names(self) -> tuple[str, ...]:
        """The suffixes, which begin with a dot, and the schemes that there are."""
        return tuple(sorted(self._entries))

    def find(self, address: str, format: str | None = None) -> T:
        """What reads or writes at an address; ``format`` overrules a path's suffix.

        Raises:
            UsageError: nothing that is installed here does, or two packages claim to, or what does
                cannot be imported.
        """
        return self.get(self._name_of(address, format))

    def get(self, name: str) -> T:
        """What is called so, by its suffix or scheme.

        Raises:
            UsageError: as :meth:`find`.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _name_of(self, address: str, format: str | None) -> str:
        scheme = scheme_of(address)
        if scheme is not None:
            return scheme
        names = iter([f".{format}"]) if format is not None else suffixes_of(address)
        return next((name for name in names if name in self._entries), _PIPED)

    def _load(self, name: str) -> T:
        entries = self._entries.get(name, [])
        if not entries:
            raise UsageError(
                f"no {self._noun} for {_shown(name)} is installed here: name a file, or install a "
                f"package that has one; there are {', '.join(map(_shown, self.names())) or 'none'}"
            )
        if len(entries) > 1:
            values = " and ".join(entry.value for entry in entries)
            raise UsageError(
                f"two packages have a {self._noun} for {_shown(name)}, {values}: uninstall one"
            )
        (entry,) = entries
        try:
            loaded = entry.load()
        except Exception as exc:
            raise UsageError(
                f"the {self._noun} {name!r} ({entry.value}) cannot be imported: "
                f"{type(exc).__name__}: {exc}"
            ) from exc
        if not isinstance(loaded, self._contract):
            raise UsageError(
                f"the {self._noun} {name!r} ({entry.value}) is not one: see "
                f"batcher.ports.{self._contract.__name__}"
            )
        return cast("T", loaded)

    @property
    def _noun(self) -> str:
        return self._contract.__name__.lower()


def _shown(name: str) -> str:
    return name if name.startswith(".") else f"{name}://"


def suffixes_of(path: str) -> Iterator[str]:
    """The suffixes of a path's name, the longest first, then those below a compression.

    ``a.b.csv.gz`` has ``.b.csv.gz``, ``.csv.gz``, ``.gz``, ``.b.csv`` and ``.csv``.
    """
    suffixes = PurePath(path.lower()).suffixes
    yield from ("".join(suffixes[start:]) for start in range(len(suffixes)))
    if suffixes and suffixes[-1] in _COMPRESSED:
        below = suffixes[:-1]
        yield from ("".join(below[start:]) for start in range(len(below)))
