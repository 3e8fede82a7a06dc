"""Job kinds found through the entry point group ``batcher.kinds``."""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from batcher.core.errors import KindNotHere
from batcher.core.kind import Kind
from batcher.core.text.near import meant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint

GROUP = "batcher.kinds"


class InstalledKinds:
    """The kinds of this environment (:class:`batcher.ports.KindRegistry`).

    Their names are read when the first is asked for, and a kind is imported when it is.
    """

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in entry_points(group=GROUP)}

    def names(self) -> tuple[str, ...]:
        """See :meth:`batcher.ports.KindRegistry.names`."""
        return tuple(sorted(self._entries))

    def get(self, name: str) -> Kind:
        """See :meth:`batcher.ports.KindRegistry.get`."""
        entry = self._entries.get(name)
        if entry is None:
            known = meant(name, self.names())
            hint = f" (did you mean {known!r}?)" if known else ""
            there = ", ".join(self.names()) or "none"
            raise KindNotHere(f"no kind {name!r}{hint}: there are {there}")
        try:
            kind = entry.load()
        except Exception as exc:
            raise KindNotHere(
                f"the kind {name!r} ({entry.value}) cannot be imported: {type(exc).__name__}: {exc}"
            ) from exc
        if not isinstance(kind, Kind):
            raise KindNotHere(
                f"the kind {name!r} ({entry.value}) is not one: see batcher.core.kind"
            )
        return kind


def entry_points(group: str) -> Iterable[EntryPoint]:
    """Those of all packages that are installed, which are looked through once."""
    found: Iterable[EntryPoint] = _every_entry_point().select(group=group)
    return found


@cache
def _every_entry_point() -> Any:
    from importlib.metadata import entry_points as installed  # takes a while to import

    return installed()
