"""How long the answer to a call may be: the limit of the output that its body sends.

A row's own limit comes first, then the user's for all rows, then the kind's, which may grow with
the pieces of a request; then the one that a budget asks for. It is the request's, and is charged
once for all of its pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batcher.core.kind import BoundKind
from batcher.core.kind_optional import SetsRowParameters, output_cap, output_growth
from batcher.core.row.parameters import RowParameters, row_cap

USERS_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class OutputLimits:
    """The limits of one job's calls.

    ``usual`` is that of a request of one piece whose row has none of its own, ``growth`` what each
    further piece adds. ``vary``: not all requests have the usual one.
    """

    usual: int | None
    growth: int = 0
    vary: bool = False

    def of(self, parameters: RowParameters | None, pieces: int) -> int | None:
        """The limit of a request of so many pieces, whose rows have these parameters; or None."""
        own = row_cap(parameters)
        if own is not None or self.usual is None:
            return own
        return self.usual + self.growth * (pieces - 1)


def output_limits(
    bound: BoundKind, params: Mapping[str, Any], cap: int | None = None
) -> OutputLimits:
    """Those of a job. ``params`` are the user's; ``cap`` is for what nothing else limits."""
    said = users_limit(params)
    growth = output_growth(bound) if said is None else 0
    limit = output_cap(bound, 1) if said is None else said
    return OutputLimits(
        usual=cap if limit is None else limit,
        growth=growth,
        vary=bool(growth) or isinstance(bound, SetsRowParameters),
    )


def users_limit(params: Mapping[str, Any]) -> int | None:
    """The limit of output tokens that the user gives for all rows, or None."""
    for name in USERS_LIMITS:
        limit = params.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool):
            return limit
    return None


def output_limit(bound: BoundKind, params: Mapping[str, Any]) -> int | None:
    """The limit of a request of one piece that the user or the kind gives, or None."""
    return output_limits(bound, params).usual
