"""What is said of a job when its run has ended, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batcher.cli.figures import count, duration, moment, money, rate
from batcher.core.job.urls import with_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batcher.core.job.since import Incremental
    from batcher.engine.job.delivery_report import DeliveryReport
    from batcher.engine.job.report import Report

_LABEL = 10


def facts(report: Report) -> list[str]:
    """The job's figures, one a line."""
    lines = [
        f"job {report.job}: {report.kind} with {report.model}, {state(report)}",
        fact("rows", _rows(report)),
        *([fact("failed", by_code(report.failed_by_code))] if report.failures else []),
        *([fact("since", compared(report.incremental))] if report.incremental else []),
        fact("requests", count(report.requests)),
        fact("tokens", _tokens(report)),
        fact("cost", _cost(report)),
    ]
    if report.requests_unstated:
        lines.append(fact("", _unstated(report)))
    if report.kept_requests:
        lines.append(fact("kept", _kept(report)))
    if report.doubt_requests:
        lines.append(fact("at most", _doubt(report)))
    if report.resume_at is not None:
        lines.append(fact("go on", f"not before {moment(report.resume_at)}"))
    lines += [fact("note", note) for note in report.notes]
    if report.delivery is not None:
        lines.append(fact("delivery", delivered(report.delivery)))
    return lines


def delivered(delivery: DeliveryReport) -> str:
    """How the delivery of a job stands."""
    place = delivery.output
    if delivery.delivered_at is not None:
        return f"{place}, delivered"
    cause = "" if delivery.cause is None else f": {delivery.cause}"
    if delivery.status == "failed":
        again = "" if delivery.next_at is None else f", tried again at {moment(delivery.next_at)}"
        tries = count(delivery.attempts, "attempt")
        return f"{place}, failed {tries}{again}{cause}"
    words = "is being written" if delivery.status == "delivering" else "waits for a worker"
    return f"{place}, {words}{f', after an attempt that failed{cause}' if cause else ''}"


def by_code(failures: Mapping[str, int]) -> str:
    """``3 invalid_output, 2 request_too_large``: the dead letters of each code."""
    return ", ".join(f"{count(letters)} {code}" for code, letters in failures.items())


def compared(incremental: Incremental) -> str:
    """How the rows compare with those of the former job."""
    if incremental.since is None:
        return "no complete run of this name: every row is new"
    parts = [
        (incremental.new, "new"),
        (incremental.changed, "changed"),
        (incremental.failed_before, "failed before"),
        (incremental.carried_over, "carried over"),
        (incremental.removed, "removed"),
    ]
    said = ", ".join(f"{count(number)} {what}" for number, what in parts if number is not None)
    return f"job {incremental.since}: {said}"


def state(report: Report) -> str:
    """The job's state in words; why it is paused is part of it."""
    words = {
        "open": "not complete",
        "interrupted": "interrupted",
    }.get(report.status, report.status)
    if report.over_budget or report.at_dead_letter:
        return report.reason or words
    if report.status in ("paused", "stopped", "failed", "over_budget") and report.reason:
        if report.reason.startswith(words):
            return report.reason
        return f"{words}: {report.reason}"
    return words


def ending(report: Report, *, command: str, seconds: float, done_now: int) -> list[str]:
    """The whole summary of a run: figures, files, and what to do next."""
    lines = facts(report)
    if not report.sent_nothing:
        pace = f", {rate(done_now / seconds)}" if seconds > 0 and done_now else ""
        lines.append(fact("time", f"{duration(seconds)}{pace}"))
    if report.output is not None:
        lines += _files(report)
    lines += next_steps(report, command=command, elsewhere=False)
    if report.status == "complete" and report.output is None:
        lines.append("No output was asked for. To write one:")
        lines.append(f"  batcher export {report.job} -o OUTPUT.jsonl")
    return lines


def next_steps(
    report: Report, *, command: str, elsewhere: bool = True, run_by: str | None = None
) -> Iterator[str]:
    """What to do now, by how the run ended, which may have been ``elsewhere``: in a worker.

    ``run_by`` says who is running it now, empty where nobody is, None where that is not known.
    """
    if report.sent_nothing:
        yield "This job was complete already: nothing was sent. --fresh runs it again."
        if report.exported:
            yield "Its output was missing or not of this job, and has been written."
    else:
        yield from _to_go_on(report, command, elsewhere=elsewhere, run_by=run_by)
    if report.rows_failed:
        yield f"{count(report.rows_failed, 'row')} failed for good. To see why:"
        yield f"  batcher errors {report.job}"
        if report.status != "cancelled" and report.may_retry:
            yield "To try again those that can be sent:"
            yield f"  batcher retry {report.job}"


def _to_go_on(
    report: Report, command: str, *, elsewhere: bool, run_by: str | None
) -> Iterator[str]:
    if report.status == "interrupted":
        yield "What is done is kept. To go on, run the same command again:"
        yield f"  {command}"
    elif report.status == "open":
        yield from _of_open(report, command, run_by)
    elif report.over_budget:
        yield "What is done is kept. To go on, run the same command with a higher --max-cost."
        if report.status == "paused":  # asked for later: it is not on the screen any more
            yield "It was:"
            yield f"  {command}"
    elif report.at_dead_letter:
        yield "What is done is kept. The same command goes on with the other rows."
    elif report.status == "paused":
        yield "What is done is kept, and no row failed. To go on, run the same command again:"
        yield f"  {command}"
        if elsewhere:
            yield "or, where workers serve it:"
            yield f"  batcher resume {report.job}"
    elif report.status == "stopped" and (better := _better_url(report)):
        yield "The base URL lacks the /v1 that most servers have at its end. Try:"
        yield f"  --base-url {better}"
    elif report.status == "stopped":
        yield "What is done is kept. Once that is fixed, the same command goes on; with another"
        yield "model or base URL it begins a new job."
    elif report.status == "failed":
        yield "What is done is kept. Once that is fixed, the same command goes on."
    elif report.status == "cancelled":
        yield "It is over; the same command begins a new job. To have what is done:"
        yield f"  batcher export {report.job} -o OUTPUT.jsonl --partial"


def _of_open(report: Report, command: str, run_by: str | None) -> Iterator[str]:
    if run_by:
        yield f"{run_by} it now. To follow it:"
        yield f"  batcher watch {report.job}"
        return
    if run_by is not None:
        yield "No process is running it: it was interrupted, or waits for a worker."
    yield (
        f"{count(report.rows_done)} of {count(report.rows, 'row')} are done and kept. "
        "The same command goes on with the rest:"
    )
    yield f"  {command}"
    if report.delivery is not None:
        yield "or a worker does, which delivers the results as well:"
        yield "  batcher worker"


def _better_url(report: Report) -> str | None:
    """The base URL with ``/v1``, where nothing was ever found behind it as it is."""
    spec = report.spec
    at_fault = "--base-url" in (report.reason or "") and not report.rows_done
    if not at_fault or spec.simulate or spec.api_version is not None:
        return None
    return with_version(spec.base_url)


def _files(report: Report) -> Iterator[str]:
    assert report.output is not None
    if report.output == "-":
        yield fact("output", "standard output")
        return
    yield fact("output", report.output)
    if report.errors is not None:
        yield fact("errors", report.errors)
    yield fact("manifest", f"{report.output}.manifest.json")


def _rows(report: Report) -> str:
    if report.rows_done == report.rows:
        return f"all {count(report.rows)} done"
    parts = [f"{count(report.rows_done)} done"]
    if report.rows_failed:
        parts.append(f"{count(report.rows_failed)} failed")
    if report.rows_left:
        parts.append(f"{count(report.rows_left)} left")
    return f"{', '.join(parts)}, of {count(report.rows)}"


def _tokens(report: Report) -> str:
    """Both sums, and the parts of them that have a price of their own or are not seen."""
    prompt = [(report.cached_tokens, "from the cache"), (report.written_tokens, "written to it")]
    output = [(report.reasoning_tokens, "reasoning")]
    return (
        f"{count(report.prompt_tokens)} in{_parts(prompt)}, "
        f"{count(report.completion_tokens)} out{_parts(output)}"
    )


def _parts(parts: list[tuple[int, str]]) -> str:
    said = ", ".join(f"{count(number)} {what}" for number, what in parts if number)
    return f" ({said})" if said else ""


def _cost(report: Report) -> str:
    stated = report.cost_stated_usd
    says = "" if stated is None else f"; the provider's answers say {money(stated)}"
    if report.cost_usd is None:
        return f"unknown: no price for this model (--price IN,OUT gives one){says}"
    return f"{money(report.cost_usd)}{says}"


def _unstated(report: Report) -> str:
    answers = count(report.requests_unstated, "answer")
    return f"{answers} did not say how many tokens they took: those were counted here"


def _doubt(report: Report) -> str:
    costs = "" if report.doubt_cost_usd is None else f", {money(report.doubt_cost_usd)}"
    return (
        f"{count(report.doubt_requests, 'more request')} may have been billed without a result "
        f"({count(report.doubt_tokens, 'token')}{costs})"
    )


def _kept(report: Report) -> str:
    return (
        f"{count(report.kept_requests, 'answer')} came from what was kept for an idempotency key "
        f"({count(report.kept_tokens, 'token')}), billed once"
    )


def fact(label: str, text: str) -> str:
    """A line of a summary."""
    return f"  {label:<{_LABEL}}{text}"
