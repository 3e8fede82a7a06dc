"""``batcher workers``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from batcher.cli.failure import say
from batcher.cli.figures import count, duration
from batcher.cli.options.command import command
from batcher.cli.output import print_json, print_lines, table
from batcher.cli.session import with_runner

if TYPE_CHECKING:
    from batcher.engine.runner import Runner
    from batcher.ports import WorkerState

_HEADINGS = ("WORKER", "STATE", "UP", "SEEN", "VERSION", "HOLDS")


@command(
    "workers",
    json="Print the workers as a JSON array.",
    examples=("batcher workers", "batcher workers --json | jq '[.[] | select(.alive)] | length'"),
)
def workers(ctx: click.Context, *, as_json: bool) -> None:
    """List the workers: who is alive, and which jobs each is working on.

    A worker that did not end in good order is listed as dead for a day.
    """
    states = with_runner(ctx, lambda runner: runner.workers())
    now = datetime.now(UTC)
    if as_json:
        print_json([_json(state) for state in states])
    elif states:
        print_lines(table(_HEADINGS, [_row(state, now) for state in states], right="UP SEEN"))
    else:
        say("no workers on this database: `batcher worker` starts one")


NOBODY = "no worker is alive: {what} until `batcher worker` is started on this database"


async def is_anybody_there(runner: Runner) -> bool:
    """Whether a worker is alive that would do what is asked for."""
    return any(worker.alive for worker in await runner.workers())


def _row(state: WorkerState, now: datetime) -> list[str]:
    holds = (f"{job} ({count(n, 'shard')})" for job, n in sorted(state.holds.items()))
    return [
        state.card.name,
        "alive" if state.alive else "dead",
        duration(max(0.0, (now - state.card.started_at).total_seconds())),
        duration(max(0.0, (now - state.seen_at).total_seconds())),
        state.card.version,
        ", ".join(holds) or "-",
    ]


def _json(state: WorkerState) -> dict[str, Any]:
    card = state.card
    return {
        "worker": card.name,
        "host": card.host,
        "pid": card.pid,
        "version": card.version,
        "alive": state.alive,
        "started_at": card.started_at.isoformat(),
        "seen_at": state.seen_at.isoformat(),
        "holds": dict(state.holds),
    }
