"""Bodies that carry files: each is read when its request is made, and let go of once it is sent.

What is read shares the memory that answers have: a call waits until there is room for its files. A
file that is gone, or is another one than was planned, fails the rows that named it and no others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from batcher.core.errors import RowError
from batcher.core.row.attachments import Attachment
from batcher.engine.byte_room import ByteRoom
from batcher.engine.shards.call import Call
from batcher.ports import AttachmentFiles

if TYPE_CHECKING:
    from batcher.engine.requests.builder import RequestBuilder

_TIMES_IN_MEMORY = 4
"""While a body is made: the file, its base64, and the body twice."""


class EncodedBody(NamedTuple):
    """A request's body as bytes, and what they are."""

    content: bytes
    content_type: str


class PiecesUnsendable(Exception):  # no error
    """Some pieces of a call cannot be sent, whatever comes: why, by piece."""

    def __init__(self, failed: dict[int, RowError]) -> None:
        super().__init__(len(failed))
        self.failed = failed


class AttachedBodies:
    """Makes the bodies of one job whose kind attaches files."""

    def __init__(self, builder: RequestBuilder, files: AttachmentFiles) -> None:
        self._builder = builder
        self._files = files

    async def body(self, call: Call, name: str, room: ByteRoom) -> EncodedBody:
        """The body of a call, which holds its own size of the room under its request's name.

        Raises:
            PiecesUnsendable: a file is gone or another one.
            NotAllowed: a file may not be read here.
            KindFailed: the kind makes no body.
        """
        planned = call.attachments()
        files_bytes = sum([kept.size_bytes for files in planned for kept in files])
        held = _TIMES_IN_MEMORY * files_bytes
        if held:
            await room.grow(name, held)
        attachments = await self._read(call)
        body = await asyncio.to_thread(self._builder.attached_body, call, attachments)
        if held:
            room.shrink(name, held - min(held, len(body.content)))
        return body

    def shown(self, call: Call) -> bytes:
        """What a body would be, in a thread: of a form its fields, and what its files are.

        Raises:
            PiecesUnsendable, NotAllowed, KindFailed: as :meth:`body`.
        """
        attachments = asyncio.run(self._read(call))
        return self._builder.shown_body(call, attachments)

    async def _read(self, call: Call) -> list[list[Attachment]]:
        read: list[list[Attachment]] = []
        failed: dict[int, RowError] = {}
        for piece, files in zip(call.pieces, call.attachments(), strict=True):
            try:
                read.append(
                    [
                        Attachment(kept.address, await self._files.read(kept), kept.sha256)
                        for kept in files
                    ]
                )
            except RowError as error:
                failed[piece] = error
        if failed:
            raise PiecesUnsendable(failed)
        return read
