"""``batcher db``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.figures import count, parse_span
from batcher.cli.options.command import command
from batcher.cli.options.help_text import ExampleGroup
from batcher.cli.options.setting import Setting
from batcher.cli.output import print_json
from batcher.cli.session import settings_from, with_runner

if TYPE_CHECKING:
    from batcher.engine.runner import Runner
    from batcher.ports import Space


_MOST_SHOWN = 20
_SILENT_SECONDS = 1.0


@click.group(
    cls=ExampleGroup,
    examples=("batcher db upgrade", "batcher db purge --older-than 30d"),
)
def db() -> None:
    """Upgrade or purge the database, .batcher/batcher.db unless --db names another."""


@command(
    "upgrade",
    short_help="Bring the database to the newest schema.",
    json="Print the schema's revision, before and after, as JSON.",
    examples=("batcher db upgrade --db jobs.db", "batcher db upgrade --db postgresql://HOST/jobs"),
)
def upgrade(ctx: click.Context, *, as_json: bool) -> None:
    """Bring the database to the newest schema; make it where there is none.

    An SQLite file is upgraded by whatever command opens it; this one does it when you
    choose. Only this command upgrades a Postgres; every other one refuses until it has run.
    """
    from batcher.adapters.store import migrate

    settings = settings_from(ctx)
    url, place = settings.location, settings.place
    before = migrate.current(url)
    migrate.upgrade(url)
    after = migrate.head()
    if as_json:
        print_json({"database": place, "before": before, "after": after})
    elif before == after:
        say(f"{place} is up to date (revision {after})")
    else:
        say(f"{place} is at revision {after} now ({before or 'made just now'})")


@command(
    "purge",
    short_help="Delete jobs that ended long ago.",
    json="Print the ids of the jobs that are gone as JSON.",
    params=[
        Setting(
            "--older-than", metavar="SPAN", required=True,
            help="How long ago they must have ended: 30d, 12h, 90m, 45s or 2w.",
        )
    ],
    examples=("batcher db purge --older-than 30d",),
)  # fmt: skip
def purge(ctx: click.Context, *, older_than: str, as_json: bool) -> None:
    """Delete jobs that are complete or cancelled, and ended so long ago, with their results.

    What they took goes back to the disk: an SQLite file shrinks, also while others use it; one that
    an older version made is rewritten for that, once nobody else has it open. A Postgres hands back
    what lies at the end of its tables, and writes over the rest.

    Output files stay. The command of a purged job would send everything again, and so would a run
    with --since-last, if it was the last one of its name.
    """
    seconds = parse_span(older_than)

    async def work(runner: Runner) -> tuple[list[str], Space]:
        gone = await runner.purge(seconds)
        if not as_json:
            shown = ", ".join(gone[:_MOST_SHOWN]) + (", …" if len(gone) > _MOST_SHOWN else "")
            say(f"{count(len(gone), 'job')} deleted" + (f": {shown}" if gone else ""))
        giving = asyncio.create_task(runner.give_back(), name="giving space back")
        done, _ = await asyncio.wait([giving], timeout=_SILENT_SECONDS)
        if not done and not as_json:
            say("giving the space back to the disk, which takes a while for a large database")
        return gone, await giving

    gone, space = with_runner(ctx, work)
    if as_json:
        print_json(
            {
                "purged": gone,
                "given_back_bytes": space.given_back_bytes,
                "free_bytes": space.free_bytes,
            }
        )
        return
    if space.given_back_bytes:
        say(f"{_megabytes(space.given_back_bytes)} given back to the disk")
    if space.left_because:
        say(f"{_megabytes(space.free_bytes)} are free within the database: {space.left_because}")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):,.1f} MB"


db.add_command(upgrade)
db.add_command(purge)
