"""``batcher worker``."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import click

from batcher.cli.helptext import ExampleCommand
from batcher.cli.session import Session, run_session, settings_from
from batcher.cli.setting import Setting
from batcher.cli.sharedoptions import (
    database_option,
    database_timeout_option,
    profile_option,
    redis_option,
)
from batcher.core.errors import UsageError


def _act(**_: Any) -> None:
    ctx = click.get_current_context()
    options = ctx.params
    if not options["redis"]:
        raise UsageError("a worker needs Redis: say --redis URL or set BATCHER_REDIS_URL")
    logging.getLogger("arq").setLevel(logging.WARNING)

    async def work(session: Session) -> None:
        from batcher.wiring import open_fleet  # takes a while
        from batcher.worker import answer_bells

        settings = replace(settings_from(ctx), lease_seconds=options["lease_seconds"])
        async with (
            open_fleet(settings, concurrency=options["concurrency"]) as fleet,
            asyncio.TaskGroup() as tasks,
        ):
            bells = tasks.create_task(
                answer_bells(fleet, options["redis"], options["slice_seconds"]), name="bells"
            )

            def stop() -> bool:
                fleet.stop()
                bells.cancel()
                return True

            session.interrupt = stop
            session.announce = lambda settles: None
            await fleet.run()
            bells.cancel()

    run_session(work)


worker = ExampleCommand(
    name="worker",
    callback=_act,
    params=[
        Setting(
            "--concurrency", type=click.IntRange(min=1), metavar="N",
            envvar="BATCHER_WORKER_CONCURRENCY",
            help="Requests in flight at most, for each job here; a job's own limit holds as well.",
        ),
        Setting(
            "--slice-seconds", type=click.FloatRange(min=1), metavar="SECONDS", default=60.0,
            default_text="60", help="How long arq counts a job as being answered at most.",
        ),
        Setting(
            "--lease-seconds", type=click.FloatRange(min=1), metavar="SECONDS", default=30.0,
            default_text="30", help="How long others wait for what this worker holds if it dies.",
        ),
        redis_option(), profile_option(), database_option(), database_timeout_option(),
    ],
    help="""Work on submitted jobs, as one of as many workers as you like.

    Workers share the database, one rate limit and nothing else: start more to go faster, end any at
    any time. SIGTERM settles what is in flight, gives the rest back and ends; what a killed worker
    held is taken over when its lease has run out. A worker whose Redis or database goes away waits
    for it. It logs events as JSON on standard error.
    """,
    short_help="Work on submitted jobs.",
    examples=("batcher worker", "batcher worker --redis redis://queue:6379 --concurrency 200"),
)  # fmt: skip
