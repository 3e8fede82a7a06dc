"""What is said of a job after the fact: the manifest, and the status of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from batcher.core.errors import UsageError
from batcher.core.job.description import Description
from batcher.core.job.since import Incremental
from batcher.core.job.spec import JobSpec
from batcher.core.job.urls import shown_input
from batcher.core.model import FailureCount, Job, StopCause, Tally
from batcher.core.money.prices import dollars
from batcher.engine.job.endings import Ending

if TYPE_CHECKING:
    from batcher.engine.job.delivery_report import DeliveryReport
    from batcher.engine.job.results import Access, Failed, Result
    from batcher.ports import DeliveryState, OutputBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """What one run added to its job, by the database: the difference that it made.

    ``rows_done`` leaves out what was carried over from another job; ``cost_usd`` is None where the
    model's price is not known.
    """

    rows_done: int = 0
    rows_failed: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal | None = None
    doubt_requests: int = 0
    doubt_cost_usd: Decimal | None = None

    @classmethod
    def between(cls, before: Tally, after: Tally, *, priced: bool) -> RunFigures:
        """What a run added that found ``before`` and left ``after``."""
        cost = after.usage.cost_picousd - before.usage.cost_picousd
        doubt = after.doubt.cost_picousd - before.doubt.cost_picousd
        return cls(
            rows_done=(after.rows_done - after.rows_carried)
            - (before.rows_done - before.rows_carried),
            rows_failed=after.rows_failed - before.rows_failed,
            requests=after.usage.requests - before.usage.requests,
            prompt_tokens=after.usage.prompt_tokens - before.usage.prompt_tokens,
            completion_tokens=after.usage.completion_tokens - before.usage.completion_tokens,
            cost_usd=dollars(cost) if priced or cost else None,
            doubt_requests=after.doubt.requests - before.doubt.requests,
            doubt_cost_usd=dollars(doubt) if priced or doubt else None,
        )

    def to_json(self) -> dict[str, Any]:
        """The names are the manifest's."""
        return {
            "rows": {"done": self.rows_done, "failed": self.rows_failed},
            "requests": self.requests,
            "tokens": {"prompt": self.prompt_tokens, "completion": self.completion_tokens},
            "cost_usd": _number(self.cost_usd),
            "billed_twice_at_most": {
                "requests": self.doubt_requests,
                "cost_usd": _number(self.doubt_cost_usd),
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The facts of a job, as the manifest holds them, and the way to its results.

    ``cost_usd`` is None where the model's price is not known. ``doubt`` figures say what may have
    been billed without giving a result, at the most: in a crash, a timeout, a lost connection or
    an answer that could not be used. ``kept`` figures are of answers that were given again
    from what was kept for their idempotency keys, and not billed again. ``cached_tokens`` and
    ``written_tokens`` are those of the prompts that were read from the provider's cache and written
    to it, ``reasoning_tokens`` part of the output; ``requests_unstated`` did not say what they
    took, and ``cost_stated_usd`` is what those that name a cost themselves say together (None: none
    does). ``exit_code`` is what the
    command line returns; ``sent_nothing`` says that the job was complete before, ``exported`` that
    output was written.
    ``incremental`` is what came of the comparison with a former job, None where there is none.
    ``delivery`` is how workers deliver it, None where they are not to.
    ``this_run`` is what the run that reports added, None where none did; ``last_output`` the file
    that the job's records were last asked for in, by any run or export.

    The results come in the input's order, one record for each row (for each chunk where a row was
    split). Rows that have none are ``failed``: with ``null`` they are there, with None for what
    they lack; with ``omit`` they are left out; with ``raise`` one of them raises
    :class:`batcher.core.errors.RowsWithoutResult`. They are read when they are asked for, from the
    database in which the job is.
    """

    job: str
    kind: str
    model: str
    status: str
    rows: int
    rows_done: int
    rows_failed: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    cached_tokens: int
    written_tokens: int
    reasoning_tokens: int
    requests_unstated: int
    cost_stated_usd: Decimal | None
    doubt_requests: int
    doubt_inputs: int
    doubt_tokens: int
    doubt_cost_usd: Decimal | None
    kept_requests: int
    kept_inputs: int
    kept_tokens: int
    started_at: datetime | None
    finished_at: datetime | None
    version: str
    spec: JobSpec
    created_at: datetime
    exit_code: int = 0
    cause: StopCause | None = None
    reason: str | None = None
    resume_at: datetime | None = None
    output: str | None = None
    errors: str | None = None
    name: str | None = None
    incremental: Incremental | None = None
    sent_nothing: bool = False
    exported: bool = False
    notes: tuple[str, ...] = ()
    failures: tuple[FailureCount, ...] = ()
    schedule: str | None = None
    this_run: RunFigures | None = None
    last_output: str | None = None
    delivery: DeliveryReport | None = None
    access: Access | None = field(default=None, repr=False, compare=False)

    def results(self, *, failed: Failed = "null") -> Iterator[Result]:
        """The results one by one; only some of them are in memory at a time."""
        return self._access.results(self.job, failed)

    def batches(self, *, failed: Failed = "null") -> Iterator[OutputBatch]:
        """The results column by column, many at a time: for programs that count microseconds."""
        return self._access.batches(self.job, failed)

    def to_arrow(self, *, failed: Failed = "null") -> Any:
        """The results as a ``pyarrow.Table``, with the columns of a Parquet output.

        These are the input's, or ``id`` and ``row`` where they were not kept, then the kind's.
        """
        return self._access.arrow(self.job, failed)

    def to_pandas(self, *, failed: Failed = "null") -> Any:
        """The same as a ``pandas.DataFrame``; it has the index of the frame that was the input.

        Raises:
            UsageError: pandas is not installed.
        """
        return self._access.pandas(self.job, failed)

    def to_polars(self, *, failed: Failed = "null") -> Any:
        """The same as a ``polars.DataFrame``.

        Raises:
            UsageError: polars is not installed.
        """
        return self._access.polars(self.job, failed)

    @property
    def _access(self) -> Access:
        if self.access is None:
            raise UsageError(f"this report cannot read the results of job {self.job}")
        return self.access

    def _repr_html_(self) -> str:
        """For notebooks: the figures, and the first results."""
        from batcher.engine.job.report_page import report_page

        return report_page(self)

    @property
    def failed_by_code(self) -> dict[str, int]:
        """Dead letters by their code, the most first."""
        counted: Counter[str] = Counter()
        for failure in self.failures:
            counted[failure.code] += failure.dead_letters
        return dict(counted.most_common())

    @property
    def may_retry(self) -> bool:
        """Whether a retry would reopen anything."""
        return any(not failure.final for failure in self.failures)

    @property
    def over_budget(self) -> bool:
        """Whether its budget is why the job does not go on."""
        return self.cause is StopCause.BUDGET

    @property
    def at_dead_letter(self) -> bool:
        """Whether a row that failed for good is why it does not."""
        return self.cause is StopCause.DEAD_LETTER

    @property
    def rows_left(self) -> int:
        """Rows that have neither a result nor failed yet."""
        return self.rows - self.rows_done - self.rows_failed

    def __repr__(self) -> str:
        """The job, its status and its rows."""
        return (
            f"<Report {self.job} {self.status}: {self.rows_done} done, {self.rows_failed} failed, "
            f"{self.rows_left} left>"
        )

    def manifest(self) -> dict[str, Any]:
        """The manifest file's content."""
        manifest: dict[str, Any] = {
            "job": self.job,
            "kind": self.kind,
            "model": self.model,
            "status": self.status,
            "rows": {"total": self.rows, "done": self.rows_done, "failed": self.rows_failed},
            "requests": self.requests,
            "requests_without_usage": self.requests_unstated,
            "tokens": {
                "prompt": self.prompt_tokens,
                "completion": self.completion_tokens,
                "cached": self.cached_tokens,
                "cache_written": self.written_tokens,
                "reasoning": self.reasoning_tokens,
            },
            "cost_usd": _number(self.cost_usd),
            "cost_stated_usd": _number(self.cost_stated_usd),
            "billed_twice_at_most": {
                "requests": self.doubt_requests,
                "inputs": self.doubt_inputs,
                "tokens": self.doubt_tokens,
                "cost_usd": _number(self.doubt_cost_usd),
            },
            "served_from_idempotency": {
                "requests": self.kept_requests,
                "inputs": self.kept_inputs,
                "tokens": self.kept_tokens,
            },
            "started_at": _time(self.started_at),
            "finished_at": _time(self.finished_at),
            "version": self.version,
        }
        if self.failures:
            manifest["failures"] = self.failed_by_code
        if self.name is not None:
            manifest["name"] = self.name
        if self.incremental is not None:
            manifest["incremental"] = self.incremental.to_json()
        if self.notes:
            manifest["notes"] = list(self.notes)
        return manifest

    def to_json(self) -> dict[str, Any]:
        """The manifest and what a caller wants to know besides."""
        return {
            **self.manifest(),
            "input": shown_input(self.spec.input),
            "created_at": _time(self.created_at),
            "schedule": self.schedule,
            "cause": self.cause,
            "reason": self.reason,
            "resume_at": _time(self.resume_at),
            "output": self.output,
            "errors": self.errors,
            "last_output": self.last_output,
            **({} if self.delivery is None else {"delivery": self.delivery.to_json()}),
            **self._of_this_run(),
        }

    def _of_this_run(self) -> dict[str, Any]:
        if self.this_run is None:
            return {}
        return {"sent_nothing": self.sent_nothing, "this_run": self.this_run.to_json()}


def make_report(
    job: Job, described: Description, tally: Tally, *, priced: bool, version: str, **more: Any
) -> Report:
    """The report of a job in its present state; ``more`` are fields of :class:`Report`."""
    usage, doubt = tally.usage, tally.doubt
    since = described.since
    fields: Mapping[str, Any] = {
        "status": str(job.state),
        "cause": job.cause,
        "reason": job.reason,
        "resume_at": job.resume_at,
        **more,
    }
    return Report(
        job=job.id,
        kind=described.work.kind,
        model=described.work.model,
        rows=rows_total(job, described),
        rows_done=tally.rows_done,
        rows_failed=tally.rows_failed,
        requests=usage.requests,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost_usd=dollars(usage.cost_picousd) if priced or usage.cost_picousd else None,
        cached_tokens=usage.cached_tokens,
        written_tokens=usage.written_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        requests_unstated=usage.unstated,
        cost_stated_usd=dollars(usage.stated_picousd) if usage.stated_picousd else None,
        doubt_requests=doubt.requests,
        doubt_inputs=doubt.pieces,
        doubt_tokens=doubt.tokens,
        doubt_cost_usd=dollars(doubt.cost_picousd) if priced or doubt.cost_picousd else None,
        kept_requests=doubt.kept_requests,
        kept_inputs=doubt.kept_pieces,
        kept_tokens=doubt.kept_tokens,
        started_at=job.started_at,
        finished_at=job.finished_at,
        version=version,
        spec=described.spec,
        created_at=job.created_at,
        schedule=job.schedule,
        name=job.name,
        last_output=job.output,
        incremental=(None if since is None else Incremental.of(since, tally, planned=job.planned)),
        **fields,
    )


def rows_total(job: Job, described: Description) -> int:
    """How many rows the job has: the input's, or the first so many of them."""
    limit = described.input.limit
    return job.facts.rows if limit is None else min(limit, job.facts.rows)


def exit_code(ending: Ending, tally: Tally, delivery: DeliveryState | None = None) -> int:
    """What the command line returns for an ending: a delivery that failed makes a difference.

    So do dead letters.
    """
    if delivery is not None and delivery.failed and ending.status == "complete":
        return delivery.exit_code or 1
    if ending.status == "complete" and tally.rows_failed:
        return 3
    return ending.exit_code


def notes(described: Description) -> tuple[str, ...]:
    """What a reader of the report should know besides."""
    said = []
    if described.provider.simulate:
        said.append("simulated: no provider was asked, and a cost is what would have been paid")
    if described.provider.via == "replay":
        said.append("replayed: recorded answers, and a cost is what they cost when they were new")
    since = described.since
    if since is not None and since.differs:
        changed = ", ".join(since.differs)
        said.append(f"nothing was carried over from job {since.job}: {changed} changed")
    if not described.input.keep_input:
        said.append(
            "the input's columns were not kept (--no-keep-input): CSV and Parquet have id and row "
            "instead; to have them, join by id, or run it again with --fresh, which sends "
            "everything again"
        )
    return tuple(said)


def _number(amount: Decimal | None) -> float | None:
    """Dollars as a JSON number, exact to the picodollar."""
    return None if amount is None else float(amount)


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
