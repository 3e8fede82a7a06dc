"""Paths that an operator has allowed: compared as they are once every symbolic link is followed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from batcher.core.errors import NotAllowed
from batcher.core.job.reach import is_url_prefix


def check_path(path: str, allowed: Iterable[str], *, verb: str, flag: str) -> None:
    """Refuse a path that is neither one of those nor below one, or is hidden there.

    What is hidden has a name that begins with a dot, or is in a directory that has: state, keys
    and settings are kept in such. A link leads where it leads.

    Args:
        path: as a job names it, from the working directory on where it is relative.
        allowed: paths; what else is allowed is of no concern here.
        verb: what would be done with it.
        flag: what allows it.

    Raises:
        NotAllowed: with what to do.
    """
    shown = "standard input or output" if path == "-" else path
    refusal = NotAllowed(f"this worker may not {verb} {shown}: {flag} would allow it")
    if path == "-":
        raise refusal
    try:
        real = Path(os.path.realpath(path))
    except (OSError, ValueError):
        raise refusal from None
    for prefix in allowed:
        if is_url_prefix(prefix):
            continue
        base = Path(os.path.realpath(prefix))
        if real.is_relative_to(base):
            if any(part.startswith(".") for part in real.relative_to(base).parts):
                raise NotAllowed(f"this worker may not {verb} {shown}, which is hidden")
            return
    raise refusal
