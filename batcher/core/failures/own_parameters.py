"""What a refusal of a request parameter means that the request's rows have of their own.

One that the user or the kind gives to all rows is refused of everybody; one that a row has of its
own is its own fault, as its text would be.
"""

from __future__ import annotations

from collections.abc import Set

from batcher.core.failures.reading import ProviderError
from batcher.core.failures.verdicts import Dead, Split

_REFUSED = (400, 422)


def judge_own_parameters(
    error: ProviderError, own: Set[str], *, pieces: int, renamed: Set[str]
) -> Split | Dead | None:
    """The decision where one of these parameters is refused; None where none is.

    Args:
        error: what the provider said.
        own: the names of the parameters.
        pieces: how many pieces the request carries.
        renamed: parameters that were sent under their other name already. Before that, a cap that
            is only called otherwise is no fault of a row.
    """
    param = error.param
    if error.status not in _REFUSED or param is None:
        return None
    if param.partition(".")[0].partition("[")[0] not in own:
        return None
    if param == "max_tokens" and param not in renamed:
        return None
    code = error.code or "invalid_request"
    return Split(code, error.message) if pieces > 1 else Dead(code, error.message)
