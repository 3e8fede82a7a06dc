"""What the pieces of a shard ask for: their texts, and what else goes into their rows' requests.

Apart from the plan's outline, since only whoever sends reads it. A list of texts is all that most
kinds have, and is kept as just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from batcher.core.model import Prompt
from batcher.core.row_parameters import RowParameters


class OwnRequest(NamedTuple):
    """What one row's request has besides its texts.

    ``parameters`` are its own, and ``alike`` the same as bytes: rows with the same may share a
    request.
    """

    parameters: RowParameters | None = None
    alike: bytes = b""


TEXTS_ALONE = OwnRequest()


@dataclass(frozen=True, slots=True)
class Asked:
    """One entry a piece. ``parameters`` is None where no row has any of its own."""

    prompts: Sequence[Prompt] = field(default=(), repr=False)
    parameters: Sequence[RowParameters | None] | None = field(default=None, repr=False)

    @property
    def has_more(self) -> bool:
        """Whether there is anything besides texts."""
        return self.parameters is not None

    def to_json(self) -> Any:
        """As it is kept: a list of the texts, or an object of the lists that there are."""
        if not self.has_more:
            return self.prompts
        return {"prompts": self.prompts, "parameters": self.parameters}

    @classmethod
    def from_json(cls, plain: Any) -> Asked:
        """The same again."""
        if isinstance(plain, list):
            return cls([tuple(prompt) for prompt in plain])
        return cls([tuple(prompt) for prompt in plain["prompts"]], plain["parameters"])
