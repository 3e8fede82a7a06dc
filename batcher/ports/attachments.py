"""Files that go with rows: measured when a job is planned, read when a request is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from batcher.core.errors import RowError
from batcher.core.row.attachments import KeptAttachment


class AttachmentFiles(Protocol):
    """The files that one job's rows name, as far as they may be read here."""

    def measure(
        self, addresses: Sequence[str], most_bytes: int, stopped: Callable[[], bool]
    ) -> list[KeptAttachment | RowError]:
        """What a plan keeps of each file, or why its row fails; in a thread, some at a time.

        None is held in memory whole. What is longer than ``most_bytes`` is not read to its end.
        Once ``stopped`` says so, what is not read yet is left out, and fails.

        Raises:
            batcher.core.errors.NotAllowed: whoever runs this does not allow one to be read.
        """
        ...

    async def read(self, kept: KeptAttachment) -> bytes:
        """The file as it was measured.

        Raises:
            batcher.core.errors.RowError: it is gone, or it is another one by now.
            batcher.core.errors.NotAllowed: whoever runs this does not allow it to be read.
        """
        ...
