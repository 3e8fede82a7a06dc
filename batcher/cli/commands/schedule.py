"""``batcher schedule``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from batcher.cli.commands.workers import NOBODY, is_anybody_there
from batcher.cli.failure import say
from batcher.cli.options.command import command
from batcher.cli.options.help_text import ExampleGroup
from batcher.cli.options.kind_group import KindGroup
from batcher.cli.options.setting import Setting
from batcher.cli.output import print_json, print_lines, table
from batcher.cli.session import Session, run_session, settings_from, with_runner
from batcher.core.errors import NoDatabase
from batcher.core.job.schedule import Missed

if TYPE_CHECKING:
    from batcher.engine.opening.schedules import Fired, ScheduleReport
    from batcher.engine.runner import Runner
    from batcher.ports.orders import Order

_HEADINGS = ("NAME", "CRON", "TIMEZONE", "NEXT", "LAST", "OUTCOME", "JOB", "STATUS")


@click.group(
    cls=ExampleGroup,
    examples=(
        'batcher schedule add "0 3 * * *" job.toml --name nightly --timezone Europe/Berlin',
        "batcher schedule list",
    ),
)
def schedule() -> None:
    """Run jobs at set times, by workers.

    Schedules are kept in the database; workers run them by the database's clock, each due time once
    however many workers there are. A worker reads the input and opens the job, so paths in the job
    file are as the workers see them. Each run is a job of its own, with a link to its schedule.
    """


class Name(click.Argument):
    """``NAME`` of a schedule."""

    def __init__(self) -> None:
        super().__init__(["name"], metavar="NAME")


@command(
    "add",
    short_help="Run a job file at set times.",
    json="Print the schedule as JSON.",
    params=[
        click.Argument(["cron"], metavar="CRON"),
        click.Argument(["job_file"], metavar="JOB.toml"),
        Setting(
            "--name", metavar="NAME", envvar="BATCHER_SCHEDULE_NAME",
            default_text="the job file's", help="What the schedule is called.",
        ),
        Setting(
            "--timezone", metavar="ZONE", envvar="BATCHER_TIMEZONE", default="UTC",
            default_text="UTC", help="Time zone that CRON is read in, such as Europe/Berlin.",
        ),
        Setting(
            "--missed", type=click.Choice([str(missed) for missed in Missed]),
            envvar="BATCHER_MISSED", default=str(Missed.RUN_ONCE), default_text="run-once",
            help="When no worker was there at a due time: run the last one missed, once, as soon "
            "as there is; or skip to the next.",
        ),
        Setting(
            "--overlap", is_flag=True, envvar="BATCHER_OVERLAP",
            help="Run even while the run before is under way; else its due time is skipped.",
        ),
    ],
    examples=(
        'batcher schedule add "0 3 * * *" job.toml --name nightly --timezone Europe/Berlin',
        'batcher schedule add "*/15 8-17 * * MON-FRI" new-tickets.toml --missed skip',
    ),
)  # fmt: skip
def add(
    ctx: click.Context,
    *,
    cron: str,
    job_file: str,
    name: str | None,
    timezone: str,
    missed: str,
    overlap: bool,
    as_json: bool,
) -> None:
    """Run a job file whenever CRON is due: minute, hour, day of month, month, day of week.

    The job file and the files that its options name are read now, the input each time, by a
    worker: its path is as the workers see it, or an http(s) URL. So is the path of `output`, where
    workers deliver each run's results. Its name may hold {date}, the day of the due time in the
    schedule's zone, {job} and {name}; where it holds none, a run replaces the output of the run
    before. Without `output` the results stay in the database.

    When clocks change, a fixed time that does not exist is due once, right after the gap, and one
    that exists twice is due the first time. Schedules whose minute or hour begins with * go by real
    time.
    """
    spec, delivery = _KINDS.spec_of_file(ctx, job_file)
    named = name or PurePath(job_file).stem

    async def work(session: Session) -> tuple[ScheduleReport, bool]:
        del session
        from batcher.wiring import open_runner  # takes a while

        async with open_runner(settings_from(ctx)) as runner:
            added = await runner.schedules.add(
                named,
                cron,
                spec,
                timezone=timezone,
                missed=Missed(missed),
                overlap=overlap,
                delivery=delivery,
            )
            return added, await is_anybody_there(runner)

    report, anybody = run_session(work)
    if not anybody:
        say(NOBODY.format(what="it will not be run"))
    if as_json:
        print_json(report.to_json())
        return
    say(f"schedule {named} is due next at {_when(report)}; workers run it")
    if delivery is not None:
        say(f"workers deliver its results to {delivery.output}")


@command(
    "list",
    short_help="List the schedules.",
    json="Print the schedules as a JSON array, each with its latest runs.",
    examples=(
        "batcher schedule list",
        "batcher schedule list --json | jq '.[] | .firings[] | select(.outcome == \"skipped\")'",
    ),
)
def list_(ctx: click.Context, *, as_json: bool) -> None:
    """List the schedules: when each is due next, what came of its last due time, its last job.

    A due time is "waiting" for a worker, "done" when its job is open, "failed" where the input was
    wrong, or "skipped": missed, or the run before it was under way. Times are in the schedule's
    zone.
    """
    try:
        reports = with_runner(ctx, lambda runner: runner.schedules.all())
    except NoDatabase:
        if ctx.params["db"] is not None:
            raise
        reports = []
    if as_json:
        print_json([report.to_json() for report in reports])
        return
    if not reports:
        say("no schedules yet: `batcher schedule add CRON JOB.toml` makes one")
        return
    print_lines(table(_HEADINGS, [_row(report) for report in reports]))
    for report in reports:
        if report.fired and (reason := report.fired[0].order.error):
            say(f"{report.schedule.name}: {reason}")


@command(
    "remove",
    short_help="Remove a schedule; its jobs stay.",
    json="Print the name as JSON.",
    params=[Name()],
    examples=("batcher schedule remove nightly",),
)
def remove(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Remove a schedule. Its jobs stay, and what is under way goes on."""
    with_runner(ctx, lambda runner: runner.schedules.remove(name))
    if as_json:
        print_json({"removed": name})
    else:
        say(f"schedule {name} is removed; its jobs stay")


@command(
    "run",
    short_help="Run a schedule's job now.",
    json="Print the run as JSON.",
    params=[Name()],
    examples=("batcher schedule run nightly",),
)
def run(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Have a worker run a schedule's job now. It still runs when it is due.

    It is refused while the run before is under way, unless the schedule was added with --overlap. A
    paused schedule can be run, too.
    """

    async def ask(runner: Runner) -> tuple[Order, bool]:
        return await runner.schedules.run(name), await is_anybody_there(runner)

    order, there = with_runner(ctx, ask)
    if as_json:
        print_json({"schedule": name, "outcome": str(order.state), "order": order.id})
    else:
        say(f"schedule {name} runs now: a worker opens its job, which `batcher jobs` then lists")
    if not there:
        say(NOBODY.format(what="it will not be run"))


@command(
    "pause",
    short_help="Let a schedule rest.",
    json="Print the schedule as JSON.",
    params=[Name()],
    examples=("batcher schedule pause nightly",),
)
def pause(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Pause a schedule: it is not due until it is resumed. A job that is under way goes on."""
    report = with_runner(ctx, lambda runner: runner.schedules.pause(name))
    _say_when(report, as_json=as_json)


@command(
    "resume",
    short_help="Let a schedule be due again.",
    json="Print the schedule as JSON.",
    params=[Name()],
    examples=("batcher schedule resume nightly",),
)
def resume(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Let a schedule be due again, from now on. What it missed in between is not run."""
    report = with_runner(ctx, lambda runner: runner.schedules.resume(name))
    _say_when(report, as_json=as_json)


def _say_when(report: ScheduleReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_json())
    elif report.schedule.paused:
        say(f"schedule {report.schedule.name} is paused")
    else:
        say(f"schedule {report.schedule.name} is due next at {_when(report)}")


def _row(report: ScheduleReport) -> list[str]:
    schedule = report.schedule
    last, with_job = next(iter(report.fired), None), report.last_with_job
    return [
        schedule.name,
        schedule.cron,
        schedule.timezone,
        "paused" if schedule.paused else _when(report),
        "-" if last is None else _fired_at(last, schedule.timezone),
        "-" if last is None else str(last.order.state),
        "-" if with_job is None else str(with_job.order.job_id),
        "-" if with_job is None else with_job.job_state or "purged",
    ]


def _when(report: ScheduleReport) -> str:
    return _local(report.schedule.next_due, report.schedule.timezone)


def _fired_at(fired: Fired, timezone: str) -> str:
    return _local(fired.order.due_at or fired.order.asked_at, timezone)


def _local(moment: datetime | None, timezone: str) -> str:
    """A time on the clocks of a zone, to the minute; in UTC where the zone is unknown here."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if moment is None:
        return "never"
    try:
        there = moment.astimezone(ZoneInfo(timezone))
    except ZoneInfoNotFoundError:
        there = moment.astimezone(UTC)
    return there.strftime("%Y-%m-%d %H:%M %Z")


_KINDS = KindGroup(
    name="schedule add", action=lambda ctx, spec: None, sends=False, json_help="", help="Kinds."
)

for _command in (add, list_, remove, run, pause, resume):
    schedule.add_command(_command)
