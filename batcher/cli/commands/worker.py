"""``batcher worker``."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from batcher.cli.options.help_text import ExampleCommand
from batcher.cli.options.setting import Lines, Setting
from batcher.cli.options.shared import (
    database_option,
    database_timeout_option,
    env_file_option,
    profile_option,
    redis_option,
)
from batcher.cli.session import Session, run_session, settings_from
from batcher.core.errors import UsageError

if TYPE_CHECKING:
    from batcher.adapters.observability.event_log import EventLog, LogFormat


def _act(**_: Any) -> None:
    ctx = click.get_current_context()
    options = ctx.params
    redis: str | None = options["redis"] or None
    settings = replace(
        settings_from(ctx),
        lease_seconds=options["lease_seconds"],
        providers=options["provider"],
        allow_source=options["allow_source"],
        allow_destination=options["allow_destination"],
    )
    if redis is None and settings.is_shared:
        raise UsageError(
            "a worker on Postgres needs Redis, where all workers share one rate limit: "
            "give --redis URL or set BATCHER_REDIS_URL"
        )

    async def work(session: Session) -> None:
        from batcher.wiring import open_fleet  # takes a while
        from batcher.worker import answer_bells, show_health

        log = _open_log(options["log_level"], options["log_format"])
        async with AsyncExitStack() as stack:
            opened = open_fleet(settings, log=log, concurrency=options["concurrency"])
            fleet = await stack.enter_async_context(opened)
            if options["health_port"] is not None:
                host, port = options["health_host"], options["health_port"]
                health = show_health(fleet, redis, host=host, port=port)
                await stack.enter_async_context(health)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            bells: asyncio.Task[None] | None = None
            if redis is not None:
                answering = answer_bells(fleet, redis, options["slice_seconds"])
                bells = tasks.create_task(answering, name="bells")

            def stop() -> bool:
                fleet.stop()
                if bells is not None:
                    bells.cancel()
                return True

            session.interrupt = stop
            session.announce = lambda settles: None
            await fleet.run()
            stop()

    run_session(work)


def _open_log(level: str, format: LogFormat) -> EventLog:
    """The log; what libraries say goes there as well, all but their words."""
    from batcher.adapters.observability.event_log import EventLog, LibraryHandler
    from batcher.ports import Level

    log = EventLog(Level[level.upper()], format)
    logging.basicConfig(level=logging.WARNING, handlers=[LibraryHandler(log)], force=True)
    logging.captureWarnings(True)
    logging.getLogger("arq").setLevel(logging.WARNING)
    return log


def _provider_option() -> Setting:
    """``--provider``; in files it has a name of its own, since jobs have one that is called so."""
    setting = Setting(
        "--provider", multiple=True, type=Lines(), metavar="NAME",
        envvar="BATCHER_WORKER_PROVIDERS",
        help="A provider that jobs may use here (repeatable), by its name in batcher.toml: with "
        "its own credential alone, at its own address alone. default is the environment's.",
        default_text="all that are configured",
    )  # fmt: skip
    setting.key = "worker_providers"
    return setting


worker = ExampleCommand(
    name="worker",
    callback=_act,
    params=[
        Setting(
            "--concurrency", type=click.IntRange(min=1), metavar="N",
            envvar="BATCHER_WORKER_CONCURRENCY",
            help="Requests in flight here at most, of all jobs; a job's own limit holds as well.",
        ),
        _provider_option(),
        Setting(
            "--allow-source", multiple=True, type=Lines(), metavar="PATH|URL",
            help="Inputs that workers' jobs may read here (repeatable): what is at a path or below "
            "it, or at a URL that begins so; https:// is what is public. With any of these three "
            "options, all else is refused.", default_text="see docs/security.md",
        ),
        Setting(
            "--allow-destination", multiple=True, type=Lines(), metavar="PATH|URL",
            help="Outputs that workers' jobs may write here (repeatable): at a path or below it, "
            "or at a URL that begins so.",
            default_text="see docs/security.md",
        ),
        Setting(
            "--slice-seconds", type=click.FloatRange(min=1), metavar="SECONDS", default=60.0,
            default_text="60", help="How long arq counts a job as being answered at most.",
        ),
        Setting(
            "--lease-seconds", type=click.FloatRange(min=1), metavar="SECONDS", default=30.0,
            default_text="30", help="How long others wait for what this worker holds if it dies.",
        ),
        Setting(
            "--health-port", type=click.IntRange(0, 65535), metavar="PORT",
            help="Answer GET /live, /ready and /metrics (Prometheus) on this port; 0 takes any.",
            default_text="none",
        ),
        Setting(
            "--health-host", metavar="ADDRESS", default="127.0.0.1", default_text="127.0.0.1",
            help="Where --health-port listens; 0.0.0.0 lets other machines ask.",
        ),
        Setting(
            "--log-level", type=click.Choice(["debug", "info", "warning", "error"]),
            default="info", default_text="info", help="Log events from this level on.",
        ),
        Setting(
            "--log-format", type=click.Choice(["json", "text"]), default="json",
            default_text="json", help="How events are written, one a line.",
        ),
        env_file_option(), profile_option(), redis_option(), database_option(),
        database_timeout_option(),
    ],
    help="""Work on submitted jobs. Start as many workers as you like.

    On one machine it needs nothing else: over an SQLite database it looks for jobs and schedules
    by itself, every two seconds. One worker is enough there; without Redis each has a rate limit of
    its own. Many machines share a Postgres and a Redis.

    Workers share the database and one rate limit, nothing else: start more to go faster, end any at
    any time. At SIGTERM a worker waits for what is in flight, gives the rest back and ends; others
    take over what a killed worker held when its lease has run out. A worker whose Redis or database
    goes away waits for it. Events are logged on standard error; docs/observability.md lists them,
    and the metrics.
    """,
    short_help="Work on submitted jobs.",
    examples=(
        "batcher worker",
        "batcher worker --db postgresql://HOST/jobs --redis redis://queue:6379 --concurrency 200",
    ),
)  # fmt: skip
