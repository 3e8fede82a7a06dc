"""What the pieces of a shard ask for: their texts, and what else goes into their rows' requests.

Apart from the plan's outline, since only whoever sends reads it. A list of texts is all that most
kinds have, and is kept as just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from batcher.core.model import Prompt
from batcher.core.row.attachments import KeptAttachment
from batcher.core.row.parameters import RowParameters


class OwnRequest(NamedTuple):
    """What one row's request has besides its texts.

    ``parameters`` are its own, and ``alike`` the same as bytes: rows with the same may share a
    request. ``attachments`` are its files, and ``tokens`` what these may be billed as.
    """

    parameters: RowParameters | None = None
    alike: bytes = b""
    attachments: tuple[KeptAttachment, ...] = ()
    tokens: int = 0


TEXTS_ALONE = OwnRequest()


@dataclass(frozen=True, slots=True)
class Asked:
    """One entry a piece. A list is None where no row has any of it."""

    prompts: Sequence[Prompt] = field(default=(), repr=False)
    parameters: Sequence[RowParameters | None] | None = field(default=None, repr=False)
    attachments: Sequence[tuple[KeptAttachment, ...]] | None = field(default=None, repr=False)

    @classmethod
    def of_pieces(cls, prompts: Sequence[Prompt], own: Sequence[OwnRequest] | None) -> Asked:
        """What pieces ask for whose rows have these; ``own`` is None where all are texts alone."""
        if own is None:
            return cls(prompts)
        parameters = [each.parameters for each in own]
        attachments = [each.attachments for each in own]
        return cls(
            prompts,
            parameters if any(each is not None for each in parameters) else None,
            attachments if any(attachments) else None,
        )

    def own_of(self, piece: int) -> OwnRequest:
        """What the row of a piece has besides its texts."""
        return OwnRequest(
            parameters=None if self.parameters is None else self.parameters[piece],
            attachments=() if self.attachments is None else self.attachments[piece],
        )

    @property
    def has_more(self) -> bool:
        """Whether there is anything besides texts."""
        return self.parameters is not None or self.attachments is not None

    def to_json(self) -> Any:
        """As it is kept: a list of the texts, or an object of the lists that there are."""
        if not self.has_more:
            return self.prompts
        lists = {"parameters": self.parameters, "attachments": self.attachments}
        return {"prompts": self.prompts} | {
            name: value for name, value in lists.items() if value is not None
        }

    @classmethod
    def from_json(cls, plain: Any) -> Asked:
        """The same again."""
        if isinstance(plain, list):
            return cls([tuple(prompt) for prompt in plain])
        attachments = plain.get("attachments")
        return cls(
            [tuple(prompt) for prompt in plain["prompts"]],
            plain.get("parameters"),
            None
            if attachments is None
            else [tuple(KeptAttachment(*one) for one in files) for files in attachments],
        )
