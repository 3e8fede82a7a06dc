"""``batcher`` itself: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from batcher.cli.failure import close_stdout, reader_may_go, report_failure
from batcher.cli.options.lazy_group import Entry, LazyGroup
from batcher.cli.options.typed import arguments_of, remember
from batcher.cli.options.variables import tell_strange_variables

RUNNING, LOOKING, ACTING = "Running jobs", "Looking at jobs", "Acting on jobs"
FLEET, MORE = "Many machines", "More"

ENTRIES = {
    "run": Entry("batcher.cli.commands.run:run", "Run a job, or go on where it stopped.", RUNNING),
    "estimate": Entry(
        "batcher.cli.commands.estimate:estimate",
        "Tell what a job would take; send nothing.",
        RUNNING,
    ),
    "preview": Entry(
        "batcher.cli.commands.preview:preview", "Show the exact requests of a few rows.", RUNNING
    ),
    "jobs": Entry(
        "batcher.cli.commands.jobs.listing:jobs", "List the jobs, newest first.", LOOKING
    ),
    "status": Entry("batcher.cli.commands.jobs.status:status", "Show one job.", LOOKING),
    "errors": Entry(
        "batcher.cli.commands.jobs.errors:errors", "Show the rows that failed for good.", LOOKING
    ),
    "results": Entry(
        "batcher.cli.commands.jobs.results:results", "Print a job's results.", LOOKING
    ),
    "export": Entry(
        "batcher.cli.commands.jobs.export:export", "Write a job's results to a file.", ACTING
    ),
    "pause": Entry(
        "batcher.cli.commands.jobs.pause:pause", "Stop sending a job's requests.", ACTING
    ),
    "resume": Entry(
        "batcher.cli.commands.jobs.pause:resume", "Let workers go on with a job.", ACTING
    ),
    "retry": Entry(
        "batcher.cli.commands.jobs.retry:retry", "Reopen the rows that failed for good.", ACTING
    ),
    "cancel": Entry("batcher.cli.commands.jobs.cancel:cancel", "Stop a job for good.", ACTING),
    "rm": Entry(
        "batcher.cli.commands.jobs.remove:rm", "Delete jobs and what is kept of them.", ACTING
    ),
    "submit": Entry(
        "batcher.cli.commands.submit:submit", "Plan a job, then leave it to workers.", FLEET
    ),
    "worker": Entry("batcher.cli.commands.worker:worker", "Work on submitted jobs.", FLEET),
    "watch": Entry(
        "batcher.cli.commands.jobs.watch:watch", "Follow a job that others work on.", FLEET
    ),
    "workers": Entry("batcher.cli.commands.workers:workers", "List the workers.", FLEET),
    "schedule": Entry(
        "batcher.cli.commands.schedule:schedule", "Run jobs at set times, by workers.", FLEET
    ),
    "providers": Entry(
        "batcher.cli.commands.providers:providers",
        "List the providers that jobs can choose by name.",
        MORE,
    ),
    "completion": Entry(
        "batcher.cli.commands.completion:completion", "Print a script for shell completion.", MORE
    ),
    "simulate": Entry(
        "batcher.cli.commands.simulate:simulate",
        "Run a local provider with limits and faults.",
        MORE,
    ),
    "db": Entry("batcher.cli.commands.database:db", "Upgrade or purge the database.", MORE),
}


class Root(LazyGroup):
    """The group of all commands."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run a command and exit with its code."""
        del standalone_mode  # click's own way knows two exit codes
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            close_stdout()
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - the last resort
            code = report_failure(error)
        sys.exit(code if isinstance(code, int) else 0)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Remember what was typed, before it is taken apart."""
        typed = tuple(args)
        with reader_may_go():  # of --help and --version
            ctx = super().make_context(info_name, args, parent, **extra)
        remember(ctx, typed)
        return ctx

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a kind in its place is probably to be run."""
        if args[0] not in self.entries:
            from batcher.adapters.system.installed_kinds import InstalledKinds

            if args[0] in InstalledKinds().names():
                raise click.UsageError(
                    f"no command {args[0]!r}: write batcher run {args[0]} INPUT …", ctx
                )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if not {"-q", "--quiet"} & set(arguments_of(ctx)):
            tell_strange_variables()
        with reader_may_go():
            return super().invoke(ctx)


def _print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    del param
    if wanted:
        from batcher import __version__

        click.echo(f"batcher {__version__}")
        ctx.exit()


@click.group(
    cls=Root,
    entries=ENTRIES,
    examples=(
        "batcher estimate embed articles.csv --text body --model text-embedding-3-small",
        "batcher run embed articles.csv -o vectors.parquet --text body "
        "--model text-embedding-3-small",
        "batcher run classify tickets.csv -o labelled.csv --id id --text body \\\n"
        "--labels billing,shipping,bug --model gpt-6-luna --max-tokens 2000 --max-cost 5",
    ),
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def root() -> None:
    """Send every row of a file through the OpenAI API, or any server that speaks it.

    It uses your full rate limit, never more. Whatever happens, the same command goes on
    where it stopped: no row is lost, and none is repeated.

    Settings come from flags, then from the environment (BATCHER_MODEL for --model, and so on),
    then from a profile in batcher.toml. The key is read from OPENAI_API_KEY.

    Exit codes: 0 complete, 2 wrong use or input, 3 some rows failed for good, 4 stopped by its
    budget, 5 paused, 130 interrupted, 141 nothing reads the output any longer, 1 cancelled or
    anything else.
    """
