"""Where a job's results go: what its command says of that, and when a delivery is tried again.

Nothing is opened or looked at here. A destination may name the job that it is for: ``{date}``,
``{job}`` and ``{name}`` are filled in when there is a job.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from batcher.core.errors import UsageError

_PLACEHOLDER = re.compile(r"\{(date|job|name)\}")
_UNSAFE = re.compile(r"[^\w.-]")
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 3600.0
FAILED_ROWS = ("omit", "null")
"""Rows that failed are left out of an output, or have a record with null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySpec:
    """Where the records of a job go, and how.

    Attributes:
        output: a path as whoever delivers sees it, or a URL of an installed destination. It may
            hold ``{date}``, ``{job}`` and ``{name}``.
        format: the format of a file whose name does not say it.
        overwrite: replace what stands there, though no manifest says that it is this job's.
        csv_safe: put a ``'`` before what a spreadsheet would take for a formula in a CSV cell.
        failed_rows: ``omit`` rows that failed, or ``null``: they have a record, too.
        timezone: the zone in which ``{date}`` is read, a name of the IANA's.

    Raises:
        UsageError: the output is not one, or a value is none of those that there are.
    """

    output: str
    format: str | None = None
    overwrite: bool = False
    csv_safe: bool = False
    failed_rows: str = "omit"
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Check what can be judged without looking."""
        if not self.output or "\0" in self.output:
            raise UsageError(f"the output {self.output!r} is not a path")
        if self.failed_rows not in FAILED_ROWS:
            raise UsageError(
                f"--failed-rows is one of {', '.join(FAILED_ROWS)}, not {self.failed_rows!r}"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; :meth:`from_json` gives the same back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> DeliverySpec:
        """The reverse of :meth:`to_json`; what a later version has added is left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in plain.items() if name in known})

    def check_name(self, name: str | None) -> None:
        """Refuse an output that is called after a name that the job has not.

        Raises:
            UsageError: with what to do.
        """
        if name is None and "{name}" in self.output:
            raise UsageError(f"{self.output}: the job has no name: give it one with --name NAME")

    def filled(self, *, job: str, name: str | None, day: date) -> DeliverySpec:
        """The delivery of one job, whose output holds no placeholder any more.

        Raises:
            UsageError: the output holds ``{name}``, and the job has none.
        """
        self.check_name(name)
        values = {"date": day.isoformat(), "job": job, "name": safe_name(name or "")}
        output = _PLACEHOLDER.sub(lambda found: values[found[1]], self.output)
        return dataclasses.replace(self, output=output)


def is_template(output: str) -> bool:
    """Whether an output depends on its job."""
    return _PLACEHOLDER.search(output) is not None


def safe_name(name: str) -> str:
    """A job's name as a part of a path: letters, digits, ``_``, ``-`` and ``.``, not first.

    ``A/B: c`` becomes ``A_B__c``, and ``..`` becomes ``_.``.
    """
    safe = _UNSAFE.sub("_", name)
    return f"_{safe[1:]}" if safe.startswith((".", "-")) else safe


def pause_seconds(attempts: int) -> float:
    """How long to wait after so many attempts in a row that failed: 5 s, twice as long each time.

    An hour at most; nothing where none failed.
    """
    if attempts < 1:
        return 0.0
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(attempts - 1, 20))
