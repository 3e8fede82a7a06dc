"""The attachments of rows: named by their kind, measured by the batch, told by their hashes."""

from __future__ import annotations

from collections.abc import Sequence

from batcher.core.errors import RowError
from batcher.core.kind_optional import AttachesFiles
from batcher.core.row.attachments import MOST_ATTACHMENT_BYTES, KeptAttachment
from batcher.engine.planning.planned_row import PlannedRow
from batcher.engine.planning.rendering import Rendering
from batcher.ports import AttachmentFiles, GuardStopped


class Attaching:
    """Gives the rows of one job their attachments."""

    def __init__(self, kind: AttachesFiles, files: AttachmentFiles, rendering: Rendering) -> None:
        self._kind = kind
        self._files = files
        self._rendering = rendering
        self._most_bytes = min(kind.most_attachment_bytes, MOST_ATTACHMENT_BYTES)
        self._stopped = False

    def stop(self) -> None:
        """Read no more, from any thread."""
        self._stopped = True

    def attach(self, rows: Sequence[PlannedRow]) -> None:
        """Measure what rows name that have prompts; a row that has not got all of it fails.

        Raises:
            NotAllowed: whoever plans does not allow a file to be read.
            KindFailed: the kind is at fault.
            GuardStopped: nothing more is wanted.
        """
        named = [(row, self._named(row)) for row in rows if row.prompts]
        addresses = [address for _, mine in named for address in mine]
        if not addresses:
            return
        measured = iter(self._files.measure(addresses, self._most_bytes, lambda: self._stopped))
        if self._stopped:
            raise GuardStopped
        for row, mine in named:
            found = [next(measured) for _ in mine]
            if row.dead is None and found:
                self._give(row, found)

    def _named(self, row: PlannedRow) -> Sequence[str]:
        """Where a row's files are; none of a row that fails."""
        assert row.record is not None
        try:
            return self._rendering.attachments(row.record)
        except RowError as error:
            row.fail(error.code, str(error))
            return ()

    def _give(self, row: PlannedRow, found: Sequence[KeptAttachment | RowError]) -> None:
        kept: list[KeptAttachment] = []
        for each in found:
            if isinstance(each, RowError):
                row.fail(each.code, str(each))
                return
            kept.append(each)
        try:
            tokens = sum(self._kind.attachment_tokens(each.size_bytes) for each in kept)
        except Exception as error:
            raise self._rendering.failed("attachment_tokens", error) from error
        row.own = row.own._replace(attachments=tuple(kept), tokens=tokens)


def content_parts(row: PlannedRow) -> list[bytes]:
    """What a row's request has besides texts, as bytes for the content hash; none for nothing."""
    own = row.own
    if own.parameters is None and not own.attachments:
        return []
    return [own.alike, *(bytes.fromhex(each.sha256) for each in own.attachments)]
