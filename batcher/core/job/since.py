"""What an incremental job is compared with, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from batcher.core.model import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """The last complete job of a job's name when that was opened.

    ``job`` is its id, None where there was none; ``rows`` how many rows it had; ``differs`` says
    in words why none of its results is right any more, and is empty where some may be.
    """

    job: str | None = None
    rows: int = 0
    differs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; :meth:`from_json` gives the same back."""
        return asdict(self) | {"differs": list(self.differs)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Since:
        """The reverse of :meth:`to_json`."""
        return cls(job=plain["job"], rows=plain["rows"], differs=tuple(plain["differs"]))

    def telling(self, name: str, rows: int) -> str:
        """What is said before anything of a job with so many rows is sent."""
        every = "1 row" if rows == 1 else f"all {rows:,} rows"
        if self.job is None:
            return f"no complete run is kept under the name {name}: {every} will be sent"
        if self.differs:
            changed = ", ".join(self.differs)
            will = f"{rows:,} row{'' if rows == 1 else 's'} will be sent"
            return f"everything changed since job {self.job}: {changed}; {will}"
        return f"only what is new or changed since job {self.job} will be sent"

    def telling_gone(self) -> str:
        """What is said where the job has been deleted since."""
        return f"job {self.job} was deleted: every row that is not planned yet will be sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incremental:
    """The rows of an incremental job: ``new + changed + failed_before + carried_over`` are all.

    ``changed`` and ``failed_before`` were in the former job, too: with other contents, and with the
    same but without a result. ``removed`` are those of the former job that are not in this one;
    None while that is not known. Rows that could not be read are new each time.
    """

    since: str | None
    new: int
    changed: int
    failed_before: int
    carried_over: int
    removed: int | None

    @classmethod
    def of(cls, since: Since, tally: Tally, *, planned: bool) -> Incremental:
        """What has come of the comparison by now; ``planned`` says that no row is left."""
        known = tally.rows_carried + tally.rows_changed + tally.rows_failed_before
        return cls(
            since=since.job,
            new=tally.rows_planned - known,
            changed=tally.rows_changed,
            failed_before=tally.rows_failed_before,
            carried_over=tally.rows_carried,
            removed=max(0, since.rows - known) if planned else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)
