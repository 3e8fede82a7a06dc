"""What CSV and JSONL outputs share: a text, compressed perhaps, written beside its target."""

from __future__ import annotations

from batcher.adapters.files.compressed import compressed
from batcher.adapters.files.formats import Compression
from batcher.adapters.files.layout import is_vector
from batcher.adapters.files.target import Target, writing
from batcher.ports import OutputSchema


class TextSink:
    """All of :class:`batcher.ports.OutputSink` but ``write``."""

    def __init__(
        self, target: Target, schema: OutputSchema, compression: Compression | None
    ) -> None:
        """Write to ``target``."""
        self._target = target
        self._schema = schema
        self._writer = compressed(target.file, compression)
        self._is_vector = is_vector(schema)

    def commit(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        with writing(self._target.name):
            self._writer.close()
        self._target.commit()

    def abort(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        self._target.abort()
