"""Job kinds found through the entry point group ``batcher.kinds``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from batcher.core.errors import KindNotHere
from batcher.core.kind import Kind

GROUP = "batcher.kinds"


class InstalledKinds:
    """The kinds of this environment (:class:`batcher.ports.KindRegistry`)."""

    def __init__(self) -> None:
        """Reads names only; a kind is imported when it is asked for."""
        self._entries: dict[str, EntryPoint] = {
            entry.name: entry for entry in entry_points(group=GROUP)
        }

    def names(self) -> tuple[str, ...]:
        """See :meth:`batcher.ports.KindRegistry.names`."""
        return tuple(sorted(self._entries))

    def get(self, name: str) -> Kind:
        """See :meth:`batcher.ports.KindRegistry.get`."""
        entry = self._entries.get(name)
        if entry is None:
            raise KindNotHere(f"no kind {name!r}: there are {', '.join(self.names()) or 'none'}")
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
